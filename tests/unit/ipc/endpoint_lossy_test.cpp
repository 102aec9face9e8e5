// Events of which the oldest may be lost: what is in hand stays, and a publisher that lies hurts
// its own counters only.
#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "endpoints.hpp"

namespace mohhos::ipc {
namespace {

using namespace std::chrono_literals;
using namespace testing;

class LossyEndpoint : public EndpointTest {
protected:
  LossyEndpoint() {
    Party publisher = plugin(1, "a");
    publisher.events = model::Events{{7, model::Lossiness::Oldest}};
    publisher.ring_bytes = 4096;
    a = open(publisher);
    b = open(plugin(2, "b"));
    const std::array<std::uint32_t, 1> events{7};
    EXPECT_TRUE(b->subscribe({}, events, soon()));
    publish("one");
  }
  void publish(std::string_view text) {
    const auto sent = a->publish(7, {}, bytes_of(text), soon());
    EXPECT_TRUE(sent && sent->sent == 1);
  }
  ChannelId lossy() { return ChannelId{board.channel({1}, {2}, Lane::Lossy)->channel}; }
  std::unique_ptr<Endpoint> a;
  std::unique_ptr<Endpoint> b;
};

TEST_F(LossyEndpoint, AnEventInHandStaysWhateverIsPublishedAndTakenMeanwhile) {
  publish("two");
  auto one = b->receive(soon());
  auto two = b->receive(soon());
  ASSERT_TRUE(one && *one && two && *two);
  const std::string large(1000, 'x');
  for (int i = 0; i < 100; ++i) publish(large);
  auto later = b->receive(soon());
  ASSERT_TRUE(later && *later);
  EXPECT_EQ(text_of((*one)->payload), "one");
  EXPECT_EQ(text_of((*two)->payload), "two");
  EXPECT_EQ(text_of((*later)->payload), large);
  b->release(**one);
  b->release(**two);
  b->release(**later);
}

TEST_F(LossyEndpoint, AnEventInHandOutlivesItsPublisher) {
  auto one = b->receive(soon());
  ASSERT_TRUE(one && *one);
  for (int i = 0; i < 1000; ++i) publish("more");
  board.leave({1});
  std::vector<Message> more;
  for (;;) {
    auto message = b->receive(in(20ms));
    ASSERT_TRUE(message);
    if (!*message) break;
    more.push_back(**message);
  }
  EXPECT_FALSE(more.empty());
  EXPECT_EQ(text_of((*one)->payload), "one");
  b->release(**one);
  for (const Message& message : more) {
    EXPECT_EQ(text_of(message.payload), "more");
    b->release(message);
  }
  const LastEnd end(*b);
  EXPECT_FALSE(*b->receive(soon()));
  ASSERT_TRUE(end);
}

TEST_F(LossyEndpoint, LiesAboutTheOldestAndTheNumbersHurtTheirCountersOnly) {
  auto one = b->receive(soon());
  ASSERT_TRUE(one && *one);
  b->release(**one);
  const ChannelId honest = channel_to(*b, "a");
  const ChannelEnd mine = board.sender_end(lossy());
  const auto data = sys::map_shared(mine.data.get(), 0, kHeaderPage + 4096, sys::Access::ReadWrite);
  ASSERT_TRUE(data);
  auto* const header = reinterpret_cast<DataHeader*>(data->data());
  const LastEnd end(*b);
  std::uint64_t random = 88172645463325252ULL;
  for (int round = 0; round < 20'000 && !end; ++round) {
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    // Forward, backward, anywhere, but where a record could lie: so that it is not ended at once.
    header->oldest = (round % 3 == 0 ? random : header->oldest + (random % 64 - 32) * 64) & ~63ULL;
    const std::uint64_t place = header->oldest;
    auto* const record = data->data() + kHeaderPage + (place & 4095);
    const PublishWord word{
        .size = 16, .tag = tag_of(place), .type = 5, .flags = static_cast<std::uint8_t>(kExtended)};
    const RecordExtension lies{
        .correlation = random, .deadline_ns = random, .event = 7, .attachment = random};
    std::memcpy(record + sizeof(RecordHeader), &lies,
                std::min<std::size_t>(sizeof lies, 4096 - (place & 4095) - sizeof(RecordHeader)));
    *reinterpret_cast<std::uint64_t*>(record) = word.pack();
    auto message = b->receive(kNoWait);
    ASSERT_TRUE(message);
    if (!*message) continue;
    EXPECT_LE((*message)->payload.size(), 4096U);
    b->release(**message);
  }
  header->oldest = 1; // no place of a record
  while (!end) ASSERT_TRUE(b->receive(soon()));
  EXPECT_EQ(end->why.code, Code::Malformed);
  send(*b, honest, "others go on");
  EXPECT_EQ(take(*a), "others go on");
}

} // namespace
} // namespace mohhos::ipc
