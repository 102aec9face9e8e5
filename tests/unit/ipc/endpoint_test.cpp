// Messages from one endpoint to another, and the order in which they come.
#include <array>
#include <map>
#include <thread>

#include <gtest/gtest.h>

#include "endpoints.hpp"

namespace mohhos::ipc {
namespace {

using namespace std::chrono_literals;
using namespace testing;

TEST_F(EndpointTest, SendsAndReceivesByName) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  const ChannelId to_b = channel_to(*a, "b");
  send(*a, to_b, "hello");
  auto message = b->receive(soon());
  ASSERT_TRUE(message && *message);
  EXPECT_EQ(text_of((*message)->payload), "hello");
  EXPECT_EQ((*message)->sender, PluginId{1});
  EXPECT_EQ((*message)->info.generation, 1U);
  EXPECT_EQ(b->peer((*message)->channel)->name, "a");
  b->release(**message);
}

// Messages that lie in the ring together share a look at the clock, but never one from before they
// were sent.
TEST_F(EndpointTest, NothingIsReceivedBeforeItWasSent) {
  constexpr std::uint64_t kClockError = 1000; // of FastClock, in nanoseconds
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  const ChannelId to_b = channel_to(*a, "b");
  send(*a, to_b, "first");
  send(*a, to_b, "second");
  EXPECT_EQ(take(*b), "first");
  const std::uint64_t later = monotonic_ns() + 100'000;
  while (monotonic_ns() < later) {
  }
  send(*a, to_b, "third");
  EXPECT_EQ(take(*b), "second");
  auto third = b->receive(soon());
  ASSERT_TRUE(third && *third);
  EXPECT_GE((*third)->received_ns + kClockError, (*third)->info.timestamp_ns);
  b->release(**third);
}

TEST_F(EndpointTest, MessagesBetweenWhichTheirSenderDoesNotLookForAnyShareLines) {
  auto a = open(plugin(1, "a"));
  auto b = open(plugin(2, "b"));
  const ChannelId channel = channel_to(*a, "b");
  const auto place = [&] {
    return (*a->send(channel, {}, bytes_of("hello"), soon()) - 1) * kGrain; // of its record
  };
  EXPECT_EQ(place(), 0U);
  EXPECT_EQ(place(), kPair); // the first lies apart: nothing was sent just before it
  EXPECT_EQ(place(), kPair + 32);
  (void)a->receive(kNoWait);
  EXPECT_EQ(place(), kPair + 64);
  (void)a->receive(kNoWait);
  EXPECT_EQ(place(), 2 * kPair); // behind one that was sent after a look
  EXPECT_EQ(place(), 3 * kPair);
  for (int i = 0; i < 6; ++i) EXPECT_EQ(take(*b), "hello");
}

TEST_F(EndpointTest, OpensAChannelOnceAndSaysWhyItCannot) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  Party deaf = plugin(3, "deaf");
  deaf.acl.receive_from.clear();
  const auto c = open(deaf);
  EXPECT_EQ(channel_to(*a, "b"), *a->open_channel(PluginId{2}, soon()));
  EXPECT_EQ(a->open_channel("nobody", soon()).error().code, Code::NotFound);
  EXPECT_EQ(a->open_channel("deaf", soon()).error().code, Code::Denied);
  board.answer_nothing(true);
  EXPECT_EQ(a->open_channel("c", in(20ms)).error().code, Code::TimedOut);
}

TEST_F(EndpointTest, GivesUpReceivingAtTheDeadline) {
  const auto a = open(plugin(1, "a"));
  const auto begin = std::chrono::steady_clock::now();
  const auto nothing = a->receive(in(30ms));
  ASSERT_TRUE(nothing);
  EXPECT_FALSE(*nothing);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 30ms);
  EXPECT_FALSE(*a->receive(kNoWait));
}

TEST_F(EndpointTest, WakesASleepingReceiver) {
  const auto a = open(plugin(1, "a"), {.spin = 0us});
  const auto b = open(plugin(2, "b"), {.spin = 0us});
  std::thread echo([&] { answer_requests(*b); });
  const ChannelId to_b = channel_to(*a, "b");
  for (int i = 0; i < 2000; ++i) {
    const auto answer = a->call_and_wait(to_b, {.type = MessageType::DataRequest},
                                         bytes_of(std::to_string(i)), soon());
    ASSERT_TRUE(answer) << answer.error().text;
    ASSERT_EQ(text_of(answer->payload), std::to_string(i) + "!");
  }
  send(*a, to_b, "stop");
  echo.join();
  EXPECT_GT(b->counters().sleeps, 0U);
  EXPECT_GT(a->counters().bells, 0U);
}

TEST_F(EndpointTest, ASenderThatHasMoreWakesTheReceiverWhenItComesBack) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  const ChannelId to_b = channel_to(*a, "b");
  send(*a, to_b, "first");
  EXPECT_EQ(take(*b), "first");
  ASSERT_TRUE(b->prepare_wait()); // b sleeps from here on
  const std::uint64_t before = a->counters().bells;
  ASSERT_TRUE(a->send(to_b, {.more = true}, bytes_of("second"), soon()));
  EXPECT_EQ(a->counters().bells, before);
  EXPECT_FALSE(*a->receive(kNoWait)); // the sender comes back
  EXPECT_EQ(a->counters().bells, before + 1);
  EXPECT_EQ(take(*b), "second");
}

TEST_F(EndpointTest, ASenderThatAlwaysHasMoreStillWakesTheReceiverSoon) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  const ChannelId to_b = channel_to(*a, "b");
  send(*a, to_b, "first");
  EXPECT_EQ(take(*b), "first");
  ASSERT_TRUE(b->prepare_wait());
  const std::uint64_t before = a->counters().bells;
  for (int i = 0; i < 64; ++i) ASSERT_TRUE(a->send(to_b, {.more = true}, bytes_of("more"), soon()));
  EXPECT_EQ(a->counters().bells, before + 1);
}

// In a flow, with an urgent ring beside it that is quiet.
class EndpointInAFlow : public EndpointTest {
protected:
  // From `a` to `b`, which has taken all of it.
  void let_flow() {
    send(*a, to_b, "urgent", Priority::Critical);
    for (int i = 0; i < kCount; ++i) send(*a, to_b, "flow");
    (void)channel_to(*b, "a"); // what its link said before that it has read, too
    ASSERT_EQ(take(*b), "urgent");
    for (int i = 0; i < kCount; ++i) ASSERT_EQ(take(*b), "flow");
  }
  // After its pause.
  void expect_bells_beside_the_flow_only() {
    const std::uint64_t bells = a->counters().bells;
    send(*a, to_b, "flow");
    EXPECT_EQ(a->counters().bells, bells);
    send(*a, to_b, "urgent", Priority::Critical);
    EXPECT_EQ(a->counters().bells, bells + 1);
    EXPECT_TRUE(b->rest(kNoWait)); // hears the bell
    EXPECT_EQ(take(*b), "urgent");
    EXPECT_EQ(take(*b), "flow");
  }
  static void send(Endpoint& endpoint, ChannelId channel, std::string_view text,
                   Priority priority = Priority::Normal) {
    ASSERT_TRUE(endpoint.send(channel, {.priority = priority}, bytes_of(text), soon()));
  }
  static constexpr int kCount = 500;
  std::unique_ptr<Endpoint> a = open(plugin(1, "a"));
  std::unique_ptr<Endpoint> b;
  ChannelId to_b;
};

TEST_F(EndpointInAFlow, WhoMayNotSpinNapsAndIsRungForWhatIsBesideTheFlowOnly) {
  b = open(plugin(2, "b"), {.spin = 0us});
  to_b = channel_to(*a, "b");
  let_flow();
  const std::uint64_t sleeps = b->counters().sleeps;
  EXPECT_TRUE(b->rest(soon()));
  EXPECT_EQ(b->counters().sleeps, sleeps + 1);
  expect_bells_beside_the_flow_only();
}

TEST_F(EndpointInAFlow, WhoMaySpinLooksAwayAndIsRungForWhatIsBesideTheFlowOnly) {
  b = open(plugin(2, "b"), {.spin = 1s});
  to_b = channel_to(*a, "b");
  let_flow();
  const std::uint64_t sleeps = b->counters().sleeps;
  EXPECT_TRUE(b->rest(soon()));
  EXPECT_EQ(b->counters().sleeps, sleeps);
  expect_bells_beside_the_flow_only();
}

// It is noticed: the pause after the last message is the last one.
TEST_F(EndpointInAFlow, AFlowThatEndedIsSleptOver) {
  b = open(plugin(2, "b"), {.spin = 0us});
  to_b = channel_to(*a, "b");
  let_flow();
  EXPECT_TRUE(b->rest(soon()));   // the nap
  EXPECT_FALSE(b->rest(in(1ms))); // and now it sleeps
  const std::uint64_t bells = a->counters().bells;
  send(*a, to_b, "flow");
  EXPECT_EQ(a->counters().bells, bells + 1);
  EXPECT_EQ(take(*b), "flow");
}

TEST_F(EndpointTest, KeepsEveryMessageInOrderBetweenTwoThreadsThroughASmallRing) {
  const auto a = open(plugin(1, "a"), {.ring_bytes = 4096});
  const auto b = open(plugin(2, "b"));
  constexpr int kCount = 100'000;
  std::thread sending([&] {
    const ChannelId to_b = channel_to(*a, "b");
    for (int i = 0; i < kCount; ++i)
      ASSERT_TRUE(a->send(to_b, {}, bytes_of(std::to_string(i)), soon()));
  });
  for (int i = 0; i < kCount; ++i) ASSERT_EQ(take(*b), std::to_string(i));
  sending.join();
}

TEST_F(EndpointTest, IsFairToAQuietSenderBesideALoudOne) {
  const auto loud = open(plugin(1, "loud"));
  const auto quiet = open(plugin(2, "quiet"));
  const auto b = open(plugin(3, "b"));
  const ChannelId from_loud = channel_to(*loud, "b");
  const ChannelId from_quiet = channel_to(*quiet, "b");
  while (loud->send(from_loud, {}, bytes_of("loud"), kNoWait)) {
  }
  send(*quiet, from_quiet, "quiet");
  int before = 0;
  while (take(*b) != "quiet") ++before;
  EXPECT_LE(before, 300);
}

TEST_F(EndpointTest, RefusesAtOnceOrWaitsUntilTheDeadlineWhenTheRingIsFull) {
  const auto a = open(plugin(1, "a"), {.ring_bytes = 4096});
  const auto b = open(plugin(2, "b"));
  const ChannelId to_b = channel_to(*a, "b");
  Result<std::uint64_t> sent = std::uint64_t{0};
  while (sent) sent = a->send(to_b, {}, bytes_of("x"), kNoWait);
  EXPECT_EQ(sent.error().code, Code::Refused);
  EXPECT_EQ(a->send(to_b, {}, bytes_of("x"), in(20ms)).error().code, Code::TimedOut);
  std::thread reading([&] { EXPECT_EQ(take(*b), "x"); });
  EXPECT_TRUE(a->send(to_b, {}, bytes_of("x"), soon()));
  reading.join();
  EXPECT_EQ(a->send(to_b, {}, std::vector<std::byte>(5000), soon()).error().code, Code::TooLarge);
}

TEST_F(EndpointTest, AFullRingWhosePeerGoesEndsTheWait) {
  const auto a = open(plugin(1, "a"), {.ring_bytes = 4096});
  const auto b = open(plugin(2, "b"));
  const ChannelId to_b = channel_to(*a, "b");
  while (a->send(to_b, {}, bytes_of("x"), kNoWait)) {
  }
  std::thread leaving([&] { board.leave({2}); });
  EXPECT_EQ(a->send(to_b, {}, bytes_of("x"), soon()).error().code, Code::PeerGone);
  leaving.join();
}

TEST_F(EndpointTest, ServesPrioritiesByTheirSharesAndStarvesNobody) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  const ChannelId to_b = channel_to(*a, "b");
  constexpr std::array kNames{"low", "normal", "high", "urgent"};
  for (std::size_t priority = 0; priority < kNames.size(); ++priority)
    for (int i = 0; i < 200; ++i)
      ASSERT_TRUE(a->send(to_b, {.priority = static_cast<Priority>(priority)},
                          bytes_of(kNames[priority]), soon()));
  std::map<std::string, int> share;
  while (take(*b) != "urgent") {
  } // from the beginning of a round
  for (int i = 0; i < 84; ++i) ++share[take(*b)];
  share["urgent"] += 1;
  EXPECT_EQ(share["urgent"], 64);
  EXPECT_EQ(share["high"], 16);
  EXPECT_EQ(share["normal"], 4);
  EXPECT_EQ(share["low"], 1);
}

TEST_F(EndpointTest, AnUrgentMessageOvertakesAllThatWait) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  const ChannelId to_b = channel_to(*a, "b");
  send(*a, to_b, "first");
  EXPECT_EQ(take(*b), "first");
  for (int i = 0; i < 50; ++i) send(*a, to_b, "waits");
  ASSERT_TRUE(a->send(to_b, {.priority = Priority::Critical}, bytes_of("now"), soon()));
  // It comes on a ring that b hears of by its link: after b has looked there.
  bool found = false;
  for (int i = 0; i < 51 && !found; ++i) found = take(*b) == "now";
  EXPECT_TRUE(found);
  ASSERT_TRUE(a->send(to_b, {.priority = Priority::Critical}, bytes_of("now"), soon()));
  EXPECT_EQ(take(*b), "now");
}

TEST_F(EndpointTest, HoldsMessagesInTheirRingsWhileToldTo) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  b->hold_messages(true);
  send(*a, channel_to(*a, "b"), "later");
  EXPECT_FALSE(*b->receive(in(20ms)));
  b->hold_messages(false);
  EXPECT_EQ(take(*b), "later");
}

} // namespace
} // namespace mohhos::ipc
