// What a receiver that does not take its messages costs: its own channel's time, as much as the
// sender allows, and nobody else's. Each send is counted where it ended.
#include <thread>

#include <gtest/gtest.h>

#include "endpoints.hpp"

namespace mohhos::ipc {
namespace {

using namespace std::chrono_literals;
using testing::bytes_of;
using testing::in;
using testing::plugin;
using testing::soon;
using testing::text_of;

class Backpressure : public testing::EndpointTest {
protected:
  // A publisher of three events, one of each kind, and one who receives nothing for now.
  Backpressure() {
    Party publisher = plugin(1, "a");
    publisher.events = model::Events{
        {1, model::Lossiness::None}, {2, model::Lossiness::Newest}, {3, model::Lossiness::Oldest}};
    publisher.ring_bytes = 4096;
    a = open(publisher);
    stopped = open(plugin(2, "stopped"));
    other = open(plugin(3, "other"));
  }
  SenderCounters of_sender(std::uint64_t to, Lane lane = Lane::Normal) {
    return board.counters(ChannelId{board.channel({1}, {to}, lane)->channel}).first;
  }
  ReceiverCounters of_receiver(std::uint64_t to, Lane lane = Lane::Normal) {
    return board.counters(ChannelId{board.channel({1}, {to}, lane)->channel}).second;
  }
  // Takes what there is.
  static std::uint64_t drain(Endpoint& endpoint) {
    for (std::uint64_t count = 0;; ++count) {
      auto message = endpoint.receive(in(20ms));
      EXPECT_TRUE(message);
      if (!message || !*message) return count;
      endpoint.release(**message);
    }
  }

  std::unique_ptr<Endpoint> a;
  std::unique_ptr<Endpoint> stopped;
  std::unique_ptr<Endpoint> other;
};

TEST_F(Backpressure, WhoDoesNotWaitIsRefusedAndEverySendIsCountedOnce) {
  const ChannelId channel = channel_to(*a, "stopped");
  constexpr std::uint64_t kTried = 1000;
  std::uint64_t sent = 0;
  std::uint64_t refused = 0;
  for (std::uint64_t i = 0; i < kTried; ++i) {
    const auto outcome = a->send(channel, {}, bytes_of("x"), kNoWait);
    if (outcome) {
      ++sent;
    } else {
      EXPECT_EQ(outcome.error().code, Code::Refused);
      ++refused;
    }
  }
  EXPECT_GT(refused, 0U);
  EXPECT_EQ(sent + refused, kTried);
  SenderCounters counted = of_sender(2);
  EXPECT_EQ(counted.sent, sent);
  EXPECT_EQ(counted.refused, refused);
  EXPECT_EQ(counted.space_waits, 0U); // nobody waited
  EXPECT_EQ(counted.dropped, 0U);
  EXPECT_LE(counted.high_water, 4096U);
  EXPECT_GT(counted.high_water, 4096U / 2);
  EXPECT_EQ(drain(*stopped), sent);
  EXPECT_EQ(of_receiver(2).acknowledged, sent);
}

TEST_F(Backpressure, WhoWaitsInVainIsCountedAsRefusedToo) {
  const ChannelId channel = channel_to(*a, "stopped");
  while (a->send(channel, {}, bytes_of("x"), kNoWait)) {
  }
  const SenderCounters before = of_sender(2);
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(a->send(channel, {}, bytes_of("x"), in(5ms)).error().code, Code::TimedOut);
  const SenderCounters after = of_sender(2);
  EXPECT_EQ(after.sent, before.sent);
  EXPECT_EQ(after.refused, before.refused + 3);
  EXPECT_EQ(after.space_waits, before.space_waits + 3);
}

TEST_F(Backpressure, AFullRingDoesNotTouchTheSendersOtherChannels) {
  const ChannelId full = channel_to(*a, "stopped");
  const ChannelId open = channel_to(*a, "other");
  while (a->send(full, {}, bytes_of("x"), kNoWait)) {
  }
  constexpr std::uint64_t kCount = 10'000;
  std::thread receiving([&] {
    for (std::uint64_t i = 0; i < kCount; ++i) ASSERT_EQ(take(*other), "y");
  });
  for (std::uint64_t i = 0; i < kCount; ++i) {
    EXPECT_EQ(a->send(full, {}, bytes_of("x"), kNoWait).error().code, Code::Refused);
    send(*a, open, "y");
  }
  receiving.join();
  EXPECT_EQ(of_sender(3).sent, kCount);
  EXPECT_EQ(of_sender(3).refused, 0U);
  EXPECT_EQ(of_sender(2).refused, kCount + 1);
}

TEST_F(Backpressure, TheOtherPrioritiesOfAFullChannelGoOn) {
  const ChannelId channel = channel_to(*a, "stopped");
  while (a->send(channel, {}, bytes_of("x"), kNoWait)) {
  }
  EXPECT_TRUE(a->send(channel, {.priority = Priority::Critical}, bytes_of("now"), soon()));
  EXPECT_EQ(of_sender(2, Lane::Urgent).sent, 1U);
}

TEST_F(Backpressure, EventsThatMayBeLostNeverWaitAndEachIsCountedOnce) {
  const std::array<std::uint32_t, 2> events{2, 3};
  ASSERT_TRUE(stopped->subscribe({}, events, soon()));
  ASSERT_TRUE(other->subscribe({}, events, soon()));
  constexpr std::uint64_t kTried = 2000;
  std::uint64_t sent = 0;
  std::uint64_t dropped = 0;
  for (std::uint64_t i = 0; i < kTried; ++i) {
    const auto newest = a->publish(2, {}, bytes_of("newest"), kForever);
    ASSERT_TRUE(newest) << newest.error().text;
    sent += newest->sent;
    dropped += newest->dropped;
    EXPECT_EQ(newest->full, 0U);
    const auto oldest = a->publish(3, {}, bytes_of("oldest"), kForever);
    ASSERT_TRUE(oldest) << oldest.error().text;
    EXPECT_EQ(oldest->sent, 2U);
  }
  EXPECT_EQ(sent + dropped, 2 * kTried);
  EXPECT_GT(dropped, 0U);
  std::uint64_t sent_counted = 0;
  std::uint64_t dropped_counted = 0;
  for (const std::uint64_t to : {2U, 3U}) {
    const SenderCounters newest = of_sender(to);
    sent_counted += newest.sent;
    dropped_counted += newest.dropped;
    EXPECT_EQ(newest.sent + newest.dropped, kTried);
    EXPECT_EQ(newest.refused, 0U); // dropped is what it was
    EXPECT_EQ(newest.space_waits, 0U);
    const SenderCounters oldest = of_sender(to, Lane::Lossy);
    EXPECT_EQ(oldest.sent, kTried);
    EXPECT_EQ(oldest.refused + oldest.dropped + oldest.space_waits, 0U);
  }
  EXPECT_EQ(sent_counted, sent);
  EXPECT_EQ(dropped_counted, dropped);
  for (Endpoint* const receiver : {stopped.get(), other.get()}) {
    const std::uint64_t to = receiver == stopped.get() ? 2 : 3;
    const std::uint64_t taken = drain(*receiver);
    const ReceiverCounters oldest = of_receiver(to, Lane::Lossy);
    EXPECT_EQ(oldest.acknowledged + oldest.dropped, kTried); // delivered + dropped = sent
    EXPECT_EQ(of_receiver(to).acknowledged, of_sender(to).sent);
    EXPECT_EQ(taken, oldest.acknowledged + of_sender(to).sent);
  }
}

TEST_F(Backpressure, AReliableEventWaitsForASlowSubscriberAsLongAsItsPublisherSays) {
  const std::array<std::uint32_t, 1> events{1};
  ASSERT_TRUE(stopped->subscribe({}, events, soon()));
  std::uint64_t sent = 0;
  for (;;) {
    const auto delivered = a->publish(1, {}, bytes_of("x"), kNoWait);
    ASSERT_TRUE(delivered);
    if (delivered->full == 1) break;
    sent += delivered->sent;
  }
  EXPECT_EQ(a->publish(1, {}, bytes_of("x"), in(5ms))->full, 1U);
  EXPECT_EQ(of_sender(2).sent, sent);
  EXPECT_EQ(of_sender(2).refused, 2U);
  EXPECT_EQ(drain(*stopped), sent);
}

// Many threads' worth of traffic: a slow receiver, one that is quick, all the numbers add up.
TEST_F(Backpressure, TheNumbersAddUpBesideARunningReceiver) {
  const ChannelId channel = channel_to(*a, "stopped");
  constexpr std::uint64_t kTried = 200'000;
  std::atomic<bool> done = false;
  std::uint64_t taken = 0;
  std::thread receiving([&] {
    while (!done) taken += drain(*stopped);
    taken += drain(*stopped);
  });
  std::uint64_t refused = 0;
  for (std::uint64_t i = 0; i < kTried; ++i)
    if (!a->send(channel, {}, bytes_of("x"), i % 2 == 0 ? kNoWait : in(1ms))) ++refused;
  done = true;
  receiving.join();
  const SenderCounters counted = of_sender(2);
  EXPECT_EQ(counted.sent + counted.refused, kTried);
  EXPECT_EQ(counted.refused, refused);
  EXPECT_EQ(taken, counted.sent);
  EXPECT_EQ(of_receiver(2).acknowledged, counted.sent);
}

} // namespace
} // namespace mohhos::ipc
