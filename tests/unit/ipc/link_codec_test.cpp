#include <random>
#include <unistd.h>

#include <gtest/gtest.h>

#include "ipc/doorbell.hpp"
#include "ipc/link_codec.hpp"
#include "sys/socket.hpp"

namespace mohhos::ipc {
namespace {

template <class T>
std::span<const std::byte> raw(const T& record) {
  return std::as_bytes(std::span(&record, 1));
}

template <class T>
std::string complaint(const T& record, LinkSide from) {
  const auto checked = check_link_record(raw(record), from);
  return checked ? std::string() : checked.error().text;
}

TEST(LinkCodec, TakesEveryRecordAsItIsMade) {
  Operate operate;
  operate.operation = Operation::Start;
  EXPECT_EQ(complaint(operate, LinkSide::Manager), "");
  ChannelOpened opened;
  opened.channel_id = 1;
  opened.role = Role::Send;
  EXPECT_EQ(complaint(opened, LinkSide::Manager), "");
  EXPECT_EQ(complaint(ChannelRefused{}, LinkSide::Manager), "");
  EXPECT_EQ(complaint(GroupStale{}, LinkSide::Manager), "");
  EXPECT_EQ(complaint(SetConfig{}, LinkSide::Manager), "");
  EXPECT_EQ(complaint(Welcome{}, LinkSide::Manager), "");
  EXPECT_EQ(complaint(OpenChannel{}, LinkSide::Endpoint), "");
  EXPECT_EQ(complaint(Subscribe{}, LinkSide::Endpoint), "");
  EXPECT_EQ(complaint(LogLine{}, LinkSide::Endpoint), "");
  EXPECT_EQ(complaint(RefusedCall{}, LinkSide::Endpoint), "");
}

TEST(LinkCodec, TakesRecordsOfMemoriesAndNamesWhatIsWrongInThem) {
  EXPECT_EQ(complaint(MakeMemory{}, LinkSide::Endpoint), "");
  EXPECT_EQ(complaint(SendMemory{}, LinkSide::Endpoint), "");
  EXPECT_EQ(complaint(ReleaseMemory{}, LinkSide::Endpoint), "");
  EXPECT_EQ(complaint(MemorySent{}, LinkSide::Manager), "");
  MemoryMade made;
  EXPECT_NE(complaint(made, LinkSide::Manager).find("memory"), std::string::npos);
  made.memory = 1;
  EXPECT_NE(complaint(made, LinkSide::Manager).find("bytes"), std::string::npos);
  made.bytes = kMaxMemory + 1;
  EXPECT_NE(complaint(made, LinkSide::Manager).find("bytes"), std::string::npos);
  made.bytes = kMaxMemory;
  EXPECT_EQ(complaint(made, LinkSide::Manager), "");
  MemoryArrived arrived;
  EXPECT_NE(complaint(arrived, LinkSide::Manager).find("channel_id"), std::string::npos);
  arrived.channel_id = 1;
  EXPECT_NE(complaint(arrived, LinkSide::Manager).find("message_id"), std::string::npos);
  arrived.message_id = 1;
  EXPECT_NE(complaint(arrived, LinkSide::Manager).find("memory"), std::string::npos);
  arrived.memory = 1;
  EXPECT_NE(complaint(arrived, LinkSide::Manager).find("bytes"), std::string::npos);
  arrived.bytes = 1;
  EXPECT_EQ(complaint(arrived, LinkSide::Manager), "");
  // A plugin says none of what only the manager may say.
  EXPECT_NE(complaint(made, LinkSide::Endpoint), "");
  EXPECT_NE(complaint(arrived, LinkSide::Endpoint), "");
}

TEST(LinkCodec, RefusesARecordFromTheWrongSide) {
  EXPECT_NE(complaint(GroupStale{}, LinkSide::Endpoint), "");
  EXPECT_NE(complaint(LogLine{}, LinkSide::Manager), "");
}

TEST(LinkCodec, NamesTheFieldThatItDislikes) {
  GroupReady ready;
  ready.kind = GroupKind::PluginsOfType;
  ready.count = kGroupMax + 1;
  EXPECT_NE(complaint(ready, LinkSide::Manager).find("count"), std::string::npos);
  Operate operate; // operation 0
  EXPECT_NE(complaint(operate, LinkSide::Manager).find("operation"), std::string::npos);
  LogLine line;
  std::memset(line.text, 'x', sizeof line.text);
  EXPECT_NE(complaint(line, LinkSide::Endpoint).find("text"), std::string::npos);
  ChannelOpened opened;
  opened.role = Role::Send;
  opened.channel_id = UINT64_MAX;
  EXPECT_NE(complaint(opened, LinkSide::Manager).find("channel_id"), std::string::npos);
}

TEST(LinkCodec, RefusesEveryTruncationAndEveryOtherVersion) {
  const LogLine line;
  for (std::size_t size = 0; size < sizeof line; ++size)
    ASSERT_FALSE(check_link_record(raw(line).first(size), LinkSide::Endpoint));
  LogLine other;
  other.header.version = kLinkVersion + 1;
  EXPECT_FALSE(check_link_record(raw(other), LinkSide::Endpoint));
}

TEST(LinkCodec, GivesAVerdictOnAnyBytes) {
  std::mt19937 random(5);
  std::array<std::byte, kLinkMaxRecord> bytes{};
  for (int round = 0; round < 100'000; ++round) {
    LinkHeader header;
    header.type = static_cast<LinkType>(random() % 80);
    header.size = static_cast<std::uint32_t>(random() % (kLinkMaxRecord + 1));
    std::memcpy(bytes.data(), &header, sizeof header);
    bytes[sizeof header + random() % 1000] = static_cast<std::byte>(random());
    (void)check_link_record(std::span(bytes).first(header.size),
                            round % 2 == 0 ? LinkSide::Manager : LinkSide::Endpoint);
  }
}

TEST(LinkCodec, ClosesDescriptorsThatDoNotBelongToTheRecord) {
  auto pair = sys::make_seqpacket_pair();
  ASSERT_TRUE(pair);
  auto bell = make_doorbell();
  const int fds[] = {bell->get()};
  ASSERT_TRUE(send_link_record(pair->first.get(), LogLine{}, fds));
  const auto received = receive_link_record(pair->second.get(), LinkSide::Endpoint);
  ASSERT_FALSE(received);
  EXPECT_EQ(received.error().code, Code::Malformed);
}

TEST(LinkCodec, SaysNothingWhenNothingWaitsAndUnreachableWhenTheOtherEndIsGone) {
  auto pair = sys::make_seqpacket_pair();
  auto nothing = receive_link_record(pair->second.get(), LinkSide::Manager);
  ASSERT_TRUE(nothing);
  EXPECT_FALSE(*nothing);
  pair->first.reset();
  EXPECT_EQ(receive_link_record(pair->second.get(), LinkSide::Manager).error().code,
            Code::Unreachable);
  EXPECT_EQ(send_link_record(pair->second.get(), LogLine{}).error().code, Code::Unreachable);
}

TEST(LinkCodec, ATextThatIsTooLongIsCutAndEnds) {
  SetConfig record;
  put_text(record.key, std::string(500, 'k'));
  EXPECT_EQ(std::string(record.key), std::string(kNameSize - 1, 'k'));
  put_text(record.key, "short");
  EXPECT_EQ(std::string(record.key), "short");
}

} // namespace
} // namespace mohhos::ipc
