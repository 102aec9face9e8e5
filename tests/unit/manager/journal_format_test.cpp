#include "manager/journal_format.hpp"

#include <gtest/gtest.h>

namespace mohhos::manager {
namespace {

const SegmentKey kKey = [] {
  SegmentKey key{};
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::byte>(i * 7 + 1);
  return key;
}();

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}
std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

const LogInfo kInfo{.life = 7,
                    .channel = 9,
                    .ring_bytes = 4096,
                    .sender_type = 3,
                    .lane = ipc::Lane::High,
                    .sender = "from",
                    .receiver = "to"};

std::vector<std::byte> segment_with(const std::vector<std::string>& texts) {
  const SegmentHead head = make_segment_head(1, kKey);
  const auto begin = std::as_bytes(std::span(&head, 1));
  std::vector<std::byte> bytes(begin.begin(), begin.end());
  put_open(bytes, kKey, 5, kInfo);
  std::uint64_t position = 0;
  for (const std::string& text : texts) {
    put_message(bytes, kKey, 5, {.place = {position, position + 64}, .payload = bytes_of(text)});
    position += 64;
  }
  return bytes;
}

std::vector<std::string> texts_in(std::span<const std::byte> bytes) {
  SegmentScan scan(bytes, kKey);
  std::vector<std::string> texts;
  while (const auto entry = scan.next()) {
    if (entry->kind != EntryKind::Message) continue;
    const auto message = parse_message(entry->body);
    EXPECT_TRUE(message) << message.error().text;
    if (message) texts.push_back(text_of(message->payload));
  }
  return texts;
}

TEST(JournalFormat, GivesBackWhatWasPut) {
  std::vector<std::byte> bytes = segment_with({"one", "", "three"});
  put_ack(bytes, kKey, 5, 128);
  const std::vector<std::uint64_t> replaced = {1, 2, 3};
  put_adopt(bytes, kKey, 6, replaced);
  put_drop(bytes, kKey, 5);
  SegmentScan scan(bytes, kKey);
  const auto open = scan.next();
  ASSERT_TRUE(open && open->kind == EntryKind::Open);
  EXPECT_EQ(open->log, 5U);
  EXPECT_EQ(*parse_open(open->body), kInfo);
  for (const char* text : {"one", "", "three"}) {
    const auto entry = scan.next();
    ASSERT_TRUE(entry && entry->kind == EntryKind::Message);
    EXPECT_EQ(text_of(parse_message(entry->body)->payload), text);
  }
  const auto ack = scan.next();
  ASSERT_TRUE(ack && ack->kind == EntryKind::Ack);
  EXPECT_EQ(*parse_ack(ack->body), 128U);
  const auto adopt = scan.next();
  ASSERT_TRUE(adopt && adopt->kind == EntryKind::Adopt);
  EXPECT_EQ(*parse_adopt(adopt->body), replaced);
  const auto drop = scan.next();
  ASSERT_TRUE(drop && drop->kind == EntryKind::Drop);
  EXPECT_FALSE(scan.next());
  EXPECT_TRUE(scan.damage().empty());
}

TEST(JournalFormat, NamesItsFiles) {
  const SegmentName name{.number = 0xABC, .key = kKey};
  const auto parsed = parse_segment_file(segment_file(name));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->number, name.number);
  EXPECT_EQ(parsed->key, name.key);
  for (const char* other : {"", "x.seg", "0000000000000ABC.00.seg", "lost+found"})
    EXPECT_FALSE(parse_segment_file(other)) << other;
}

// Cut anywhere: what is whole before the cut is there, and nothing else.
TEST(JournalFormat, SurvivesEveryTruncation) {
  const std::vector<std::string> texts = {"first", std::string(100, 'x'), "third"};
  const auto bytes = segment_with(texts);
  std::size_t most = 0;
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    const auto found = texts_in(std::span(bytes).first(size));
    ASSERT_LE(found.size(), texts.size());
    ASSERT_TRUE(std::equal(found.begin(), found.end(), texts.begin()));
    ASSERT_GE(found.size(), most);
    most = found.size();
  }
  EXPECT_EQ(most, texts.size());
}

// Flipped anywhere: at most one entry is lost, and none is another.
TEST(JournalFormat, SurvivesEveryBitFlip) {
  const std::vector<std::string> texts = {"first", std::string(100, 'x'), "third", ""};
  auto bytes = segment_with(texts);
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    const std::byte mask{static_cast<unsigned char>(1U << bit % 8)};
    bytes[bit / 8] ^= mask;
    const auto found = texts_in(bytes);
    ASSERT_GE(found.size(), texts.size() - 1) << bit;
    std::size_t at = 0; // a subsequence
    for (const std::string& text : texts)
      if (at < found.size() && found[at] == text) ++at;
    ASSERT_EQ(at, found.size()) << bit;
    bytes[bit / 8] ^= mask;
  }
}

// A message that holds an entry of its own making, in a segment that is damaged just before it.
TEST(JournalFormat, APayloadCannotBecomeAnEntry) {
  SegmentKey guess{};
  std::vector<std::byte> forged(
      8); // so that what follows is aligned in the file, whatever is before
  for (int i = 0; i < 2; ++i) {
    put_open(forged, guess, 5, kInfo);
    put_message(forged, guess, 5, {.place = {0, 64}, .payload = bytes_of("forged")});
    forged.resize(forged.size() + 8);
  }
  auto bytes = segment_with({text_of(forged), "behind"});
  bytes[sizeof(SegmentHead) + 250] ^= std::byte{1};
  for (const std::string& text : texts_in(bytes)) EXPECT_NE(text, "forged");
}

TEST(JournalFormat, AMessageEndsBehindItsBegin) {
  const auto parse = [](std::uint64_t begin, std::uint64_t end) {
    std::vector<std::byte> bytes;
    put_message(bytes, kKey, 5, {.place = {begin, end}, .payload = {}});
    return parse_message(parse_entry(bytes, kKey)->body).has_value();
  };
  EXPECT_TRUE(parse(0, ipc::kGrain));
  EXPECT_FALSE(parse(ipc::kGrain, ipc::kGrain));
  EXPECT_FALSE(parse(ipc::kGrain, 0));
  EXPECT_FALSE(
      parse(std::uint64_t{0} - ipc::kGrain, ipc::kGrain)); // across 2^64: no ring gets there
  EXPECT_FALSE(parse(0, ipc::kMaxRing + ipc::kGrain));
}

} // namespace
} // namespace mohhos::manager
