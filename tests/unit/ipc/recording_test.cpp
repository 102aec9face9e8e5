// A recording reads back as it was written; cut anywhere or with any bit flipped it says where.
#include "ipc/recording.hpp"

#include <cstring>

#include <gtest/gtest.h>

#include "ipc/link.hpp"
#include "ipc/message.hpp"

namespace mohhos::ipc {
namespace {

using Bytes = std::vector<std::byte>;

RecordingReader::ReadBytes reading(const Bytes& bytes) {
  return [&bytes, at = std::size_t{0}](std::span<std::byte> to) mutable -> Result<std::size_t> {
    const std::size_t size = std::min({to.size(), bytes.size() - at, std::size_t{100}});
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), size, to.begin());
    at += size;
    return size;
  };
}

const Recording kRecording{
    .sender = "reader", .receiver = "tokenizer", .begun_us = 1'700'000'000'000'000, .begun_ns = 42};

TapHeader header(std::uint64_t id) {
  return {.channel = 3,
          .id = id,
          .sender = 1,
          .sent_ns = 100 * id,
          .received_ns = 100 * id + 7,
          .correlation = id % 2,
          .missed = 99, // is not written
          .type = static_cast<std::uint32_t>(MessageType::Custom),
          .priority = static_cast<std::uint32_t>(Priority::High),
          .lane = static_cast<std::uint32_t>(Lane::High)};
}

struct Sample {
  Bytes bytes;
  std::vector<std::size_t> starts; // of the entries, and the end of the file
};

Sample sample() {
  Sample made;
  put_recording_head(made.bytes, kRecording);
  for (std::uint64_t id = 1; id <= 4; ++id) {
    made.starts.push_back(made.bytes.size());
    put_recorded_message(made.bytes, header(id), Bytes(id * 9, std::byte{0x41}));
  }
  made.starts.push_back(made.bytes.size());
  put_recorded_gap(made.bytes, {.channel = 3, .missed = 5});
  made.starts.push_back(made.bytes.size());
  put_recorded_end(made.bytes, {.messages = 4, .missed = 5});
  made.starts.push_back(made.bytes.size());
  return made;
}

struct Outcome {
  std::size_t entries = 0;
  Error error{}; // text empty: read to the end
};

// What it reads must be what was written, up to the damage.
Outcome read_all(const Bytes& bytes) {
  Outcome outcome;
  auto reader = RecordingReader::open(reading(bytes));
  if (!reader) return {0, reader.error()};
  EXPECT_EQ(reader->recording(), kRecording);
  for (;;) {
    const auto entry = reader->next();
    if (!entry) {
      outcome.error = entry.error();
      return outcome;
    }
    if (!*entry) return outcome;
    ++outcome.entries;
    if (const auto* message = std::get_if<RecordedMessage>(&**entry)) {
      TapHeader expected = header(outcome.entries);
      expected.missed = 0;
      EXPECT_EQ(std::memcmp(&message->header, &expected, sizeof expected), 0);
      EXPECT_EQ(message->payload, Bytes(outcome.entries * 9, std::byte{0x41}));
    } else {
      EXPECT_EQ(std::get<RecordedGap>(**entry).missed, 5U);
    }
  }
}

TEST(Recording, ReadsBackAsItWasWritten) {
  const Outcome outcome = read_all(sample().bytes);
  EXPECT_EQ(outcome.error.text, "");
  EXPECT_EQ(outcome.entries, 5U);
}

TEST(Recording, CutAnywhereSaysWhere) {
  const Sample whole = sample();
  for (std::size_t size = 0; size < whole.bytes.size(); ++size) {
    const Outcome outcome = read_all(
        Bytes(whole.bytes.begin(), whole.bytes.begin() + static_cast<std::ptrdiff_t>(size)));
    ASSERT_EQ(outcome.error.code, Code::Malformed) << size;
    // The entry that the cut is in, or at whose beginning it is.
    std::size_t entry = 0;
    while (entry + 1 < whole.starts.size() && whole.starts[entry + 1] <= size) ++entry;
    if (size < whole.starts[0]) {
      ASSERT_EQ(outcome.entries, 0U);
      continue;
    }
    ASSERT_EQ(outcome.entries, entry) << size;
    const std::string place =
        "record " + std::to_string(entry + 1) + " at byte " + std::to_string(whole.starts[entry]);
    ASSERT_TRUE(outcome.error.text.starts_with(place)) << size << ": " << outcome.error.text;
  }
}

TEST(Recording, WithAnyBitFlippedSaysWhere) {
  Sample flipped = sample();
  for (std::size_t bit = 0; bit < flipped.bytes.size() * 8; ++bit) {
    const std::byte mask{static_cast<unsigned char>(1U << bit % 8)};
    flipped.bytes[bit / 8] ^= mask;
    const Outcome outcome = read_all(flipped.bytes);
    flipped.bytes[bit / 8] ^= mask;
    ASSERT_EQ(outcome.error.code, Code::Malformed) << "bit " << bit;
    if (bit / 8 < flipped.starts[0]) continue;
    std::size_t entry = 0;
    while (flipped.starts[entry + 1] <= bit / 8) ++entry;
    ASSERT_EQ(outcome.entries, entry) << "bit " << bit;
    const std::string place =
        "record " + std::to_string(entry + 1) + " at byte " + std::to_string(flipped.starts[entry]);
    ASSERT_TRUE(outcome.error.text.starts_with(place)) << bit << ": " << outcome.error.text;
  }
}

TEST(Recording, RefusesWhatNoRecorderWrites) {
  const auto refused = [](const std::function<void(Bytes&)>& put) {
    Bytes bytes;
    put_recording_head(bytes, kRecording);
    put(bytes);
    return read_all(bytes).error.text;
  };
  const auto with = [&](const std::function<void(TapHeader&)>& change) {
    return refused([&](Bytes& bytes) {
      TapHeader wrong = header(1);
      change(wrong);
      put_recorded_message(bytes, wrong, {});
    });
  };
  EXPECT_NE(with([](TapHeader& it) { it.type = 8; }).find("type 8"), std::string::npos);
  EXPECT_NE(with([](TapHeader& it) { it.priority = 4; }).find("priority 4"), std::string::npos);
  EXPECT_NE(with([](TapHeader& it) { it.lane = 6; }).find("lane 6"), std::string::npos);
  EXPECT_NE(with([](TapHeader& it) { it.flags = 16; }).find("flags 0x10"), std::string::npos);
  EXPECT_NE(refused([](Bytes& bytes) { put_recorded_end(bytes, {.messages = 1}); }).find("1 mess"),
            std::string::npos);
  EXPECT_NE(refused([](Bytes& bytes) {
              put_recorded_end(bytes, {});
              bytes.push_back({});
            }).find("follows"),
            std::string::npos);
}

TEST(Recording, OfTooLargeAnEntryTakesNoMemory) {
  Bytes bytes;
  put_recording_head(bytes, kRecording);
  const EntryHead claims{.kind = EntryKind::Message, .size = kLargestEntry};
  const auto raw = std::as_bytes(std::span(&claims, 1));
  bytes.insert(bytes.end(), raw.begin(), raw.end());
  EXPECT_NE(read_all(bytes).error.text.find("cut"), std::string::npos);
}

TEST(Recording, IsKnownByItsFirstBytes) {
  const std::string text = "#!/bin/sh\necho this is something else altogether, and long enough\n";
  Bytes bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  EXPECT_EQ(read_all(bytes).error.text, "this is no recording");
  EXPECT_EQ(read_all({}).error.text, "this is no recording");
}

} // namespace
} // namespace mohhos::ipc
