// A recorder gets a copy of everything that its channels bring, or the exact number of what it
// missed; the receiver notices nothing.
#include <cstring>
#include <map>

#include <gtest/gtest.h>

#include "endpoints.hpp"
#include "ipc/tap.hpp"
#include "ring_memory.hpp"

namespace mohhos::ipc {
namespace {

using namespace std::chrono_literals;
using testing::bytes_of;
using testing::plugin;
using testing::soon;
using testing::text_of;

class Tap : public testing::EndpointTest {
protected:
  static void send(Endpoint& from, ChannelId channel, std::string_view text,
                   const Outgoing& about = {}) {
    const auto sent = from.send(channel, about, bytes_of(text), soon());
    EXPECT_TRUE(sent) << sent.error().text;
    from.flush();
  }
  struct Copy {
    TapHeader header;
    std::string payload;
  };
  static Copy copy(Endpoint& recorder) {
    auto message = recorder.receive(soon());
    Copy copy;
    if (!message || !*message) return copy;
    EXPECT_EQ(recorder.lane((*message)->channel), Lane::Tap);
    std::memcpy(&copy.header, (*message)->payload.data(), sizeof copy.header);
    copy.payload = text_of((*message)->payload.subspan(sizeof copy.header));
    recorder.release(**message);
    return copy;
  }

  std::unique_ptr<Endpoint> a = open(plugin(1, "a"));
  std::unique_ptr<Endpoint> b = open(plugin(2, "b"));
  std::unique_ptr<Endpoint> recorder = open({.id = {9},
                                             .name = "recorder",
                                             .type = {},
                                             .generation = {1},
                                             .capabilities = {},
                                             .acl = {}});
};

TEST_F(Tap, CopiesWhatIsReceivedWithAllThatIsKnownOfIt) {
  const ChannelId channel = *a->open_channel("b", soon());
  send(*a, channel, "before");
  EXPECT_EQ(take(*b), "before");
  board.tap(channel, {9});
  EXPECT_FALSE(*b->receive(kNoWait)); // it hears of that when it looks at its link
  send(*a, channel, "one", {.type = MessageType::EventNotify, .event = 7});
  send(*a, channel, "two", {.priority = Priority::Normal});
  EXPECT_EQ(take(*b), "one");
  EXPECT_EQ(take(*b), "two");
  b->flush();
  const Copy one = copy(*recorder);
  EXPECT_EQ(one.payload, "one");
  EXPECT_EQ(one.header.channel, channel.value);
  EXPECT_EQ(one.header.sender, 1U);
  EXPECT_EQ(one.header.type, static_cast<std::uint32_t>(MessageType::EventNotify));
  EXPECT_EQ(one.header.event, 7U);
  EXPECT_GT(one.header.received_ns, 0U);
  EXPECT_EQ(one.header.missed, 0U);
  EXPECT_EQ(copy(*recorder).payload, "two");
}

TEST_F(Tap, CountsExactlyWhatARecorderHadNoRoomForByChannel) {
  std::unique_ptr<Endpoint> c = open(plugin(3, "c"));
  const ChannelId from_a = *a->open_channel("b", soon());
  const ChannelId from_c = *c->open_channel("b", soon());
  board.tap(from_a, {9});
  board.tap(from_c, {9});
  const std::string large(100 << 10, 'x');
  std::map<std::uint64_t, std::uint64_t> sent;
  std::map<std::uint64_t, std::uint64_t> accounted;
  std::uint64_t missed = 0;
  const auto send_one = [&](Endpoint& from, ChannelId channel) {
    send(from, channel, large);
    EXPECT_EQ(take(*b).size(), large.size());
    ++sent[channel.value];
  };
  const auto take_copy = [&] {
    const Copy one = copy(*recorder);
    missed += one.header.missed;
    accounted[one.header.channel] += one.header.missed + 1;
  };
  // More than the recorder's ring holds, and nobody reads it.
  for (int i = 0; i < 60; ++i) send_one(i % 3 == 0 ? *c : *a, i % 3 == 0 ? from_c : from_a);
  b->flush();
  take_copy();
  while (recorder->rest(std::chrono::steady_clock::now())) take_copy();
  // Now there is room: the next copy of each channel says what was missed.
  send_one(*a, from_a);
  send_one(*c, from_c);
  b->flush();
  take_copy();
  take_copy();
  EXPECT_GT(missed, 0U);
  EXPECT_EQ(accounted, sent);
}

TEST_F(Tap, SaysWhichMessagesWereDurable) {
  const ChannelId channel = *a->open_channel("b", soon());
  board.tap(channel, {9});
  EXPECT_FALSE(*b->receive(kNoWait));
  send(*a, channel, "one", {.durable = true});
  send(*a, channel, "two");
  EXPECT_EQ(take(*b), "one");
  EXPECT_EQ(take(*b), "two");
  b->flush();
  EXPECT_EQ(copy(*recorder).header.flags, kTapDurable);
  EXPECT_EQ(copy(*recorder).header.flags, 0U);
}

TEST_F(Tap, WhatNoCopyCouldTellIsKnownWhenTheReceiverDies) {
  const ChannelId channel = *a->open_channel("b", soon());
  board.tap(channel, {9});
  const std::string large(100 << 10, 'x');
  constexpr std::uint64_t kSent = 60; // more than the recorder's ring holds, and nobody reads it
  for (std::uint64_t i = 0; i < kSent; ++i) {
    send(*a, channel, large);
    EXPECT_EQ(take(*b).size(), large.size());
  }
  b->flush();
  (void)recorder->rest(kNoWait); // takes nothing
  const auto now = recorder->missed_copies();
  ASSERT_EQ(now.size(), 1U);
  b.reset();
  board.lose({2});
  std::optional<Ended> end;
  recorder->on_ended([&](const Ended& ended) { end = ended; });
  std::uint64_t copies = 0;
  while (!end) {
    const auto message = recorder->receive(testing::in(100ms));
    ASSERT_TRUE(message);
    if (!*message) continue;
    TapHeader header;
    std::memcpy(&header, (*message)->payload.data(), sizeof header);
    EXPECT_EQ(header.missed, 0U);
    ++copies;
    recorder->release(**message);
  }
  EXPECT_GT(end->missed, 0U);
  EXPECT_EQ(end->missed, now[0].missed);
  EXPECT_EQ(end->channel, now[0].channel);
  EXPECT_EQ(copies + end->missed, kSent);
  EXPECT_TRUE(recorder->missed_copies().empty());
}

TEST_F(Tap, GoesOnWithAnotherManager) {
  const ChannelId channel = *a->open_channel("b", soon());
  board.tap(channel, {9});
  EXPECT_FALSE(*b->receive(kNoWait));
  board.restart_manager({plugin(1, "a"), plugin(2, "b"),
                         Party{.id = {9},
                               .name = "recorder",
                               .type = {},
                               .generation = {1},
                               .capabilities = {},
                               .acl = {}}});
  EXPECT_FALSE(*b->receive(kNoWait));
  send(*a, channel, "one");
  EXPECT_EQ(take(*b), "one");
  b->flush();
  EXPECT_EQ(copy(*recorder).payload, "one");
}

TEST_F(Tap, OfAChannelThatIsToComeHasItsFirstMessage) {
  board.tap(*a->open_channel("b", soon()), {9});
  EXPECT_FALSE(*b->receive(kNoWait));
  send(*a, ChannelId{1}, "one");
  EXPECT_EQ(take(*b), "one");
  b->flush();
  ASSERT_EQ(copy(*recorder).payload, "one");
  const auto c = open(plugin(3, "c"));
  TapOpened record;
  record.channel_id = 3; // the next one that the broker makes
  record.tap_channel_id = 2;
  board.say({2}, record);
  const ChannelId channel = *c->open_channel("b", soon());
  ASSERT_EQ(channel, ChannelId{3});
  send(*c, channel, "first");
  EXPECT_EQ(take(*b), "first");
  b->flush();
  EXPECT_EQ(copy(*recorder).payload, "first");
}

TEST_F(Tap, EndsWithTheRecorderAndTheReceiverGoesOn) {
  const ChannelId channel = *a->open_channel("b", soon());
  board.tap(channel, {9});
  send(*a, channel, "one");
  EXPECT_EQ(take(*b), "one");
  board.leave({9});
  recorder.reset();
  for (int i = 0; i < 3; ++i) {
    send(*a, channel, "more");
    EXPECT_EQ(take(*b), "more");
  }
}

} // namespace
} // namespace mohhos::ipc
