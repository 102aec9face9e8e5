// An endpoint's link, the owner's own loop, and how channels end.
#include <optional>
#include <vector>

#include <gtest/gtest.h>
#include <poll.h>

#include "endpoints.hpp"

namespace mohhos::ipc {
namespace {

using namespace std::chrono_literals;
using namespace testing;

TEST_F(EndpointTest, OtherRecordsOfTheLinkReachTheOwnerInOrderAndNotDuringACall) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  std::vector<std::string> keys;
  a->on_record([&](const LinkRecord& record) {
    keys.emplace_back(record.as<SetConfig>().key);
    if (keys.size() == 2) a->interrupt();
  });
  for (const char* key : {"first", "second"}) {
    SetConfig config;
    put_text(config.key, key);
    board.say({1}, config);
  }
  channel_to(*a, "b");
  EXPECT_TRUE(keys.empty());
  EXPECT_FALSE(*a->receive(soon()));
  EXPECT_EQ(keys, (std::vector<std::string>{"first", "second"}));
}

TEST_F(EndpointTest, CanBeWaitedForInALoopOfOnesOwn) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  const ChannelId to_b = channel_to(*a, "b");
  EXPECT_FALSE(*b->receive(kNoWait));
  ASSERT_TRUE(b->prepare_wait());
  pollfd wait{b->wait_fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&wait, 1, 0), 0);
  send(*a, to_b, "ring");
  EXPECT_EQ(::poll(&wait, 1, 10'000), 1);
  auto message = b->receive(kNoWait);
  ASSERT_TRUE(message && *message);
  b->release(**message);
}

TEST_F(EndpointTest, CountsWhatItSentItselfAlsoWhereAChannelHasEnded) {
  auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  send(*a, channel_to(*a, "b"), "of the one before");
  board.lose({1});
  Party successor = plugin(1, "a");
  successor.generation = {2};
  a = open(successor);
  const ChannelId to_b = channel_to(*a, "b");
  EXPECT_EQ(a->counters().sent, 0U);
  for (int i = 0; i < 3; ++i) send(*a, to_b, "its own");
  EXPECT_EQ(a->counters().sent, 3U);
  const LastEnd end(*a);
  board.leave({2});
  EXPECT_FALSE(*a->receive(soon()));
  EXPECT_TRUE(end);
  EXPECT_EQ(a->counters().sent, 3U);
}

TEST_F(EndpointTest, AnotherManagerTakesOverUnnoticed) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  const ChannelId to_b = channel_to(*a, "b");
  send(*a, to_b, "before");
  board.restart_manager({plugin(1, "a"), plugin(2, "b")});
  send(*a, to_b, "after");
  EXPECT_EQ(take(*b), "before");
  EXPECT_EQ(take(*b), "after");
  const ChannelId to_a = channel_to(*b, "a");
  EXPECT_GT(to_a.value, to_b.value);
  send(*b, to_a, "back");
  EXPECT_EQ(take(*a), "back");
}

TEST_F(EndpointTest, ALinkThatIsCutIsAnErrorAndRingsGoOn) {
  auto pair = sys::make_seqpacket_pair();
  const auto lonely = *Endpoint::open(std::move(pair->second), {});
  pair->first.reset();
  EXPECT_EQ(lonely->receive(soon()).error().code, Code::Unreachable);
  EXPECT_EQ(lonely->open_channel("b", soon()).error().code, Code::Unreachable);
}

TEST_F(EndpointTest, WhatAPeerSentBeforeItWentIsReadBeforeItsEndIsTold) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  const ChannelId to_b = channel_to(*a, "b");
  send(*a, to_b, "one");
  send(*a, to_b, "two");
  board.leave({1});
  const LastEnd end(*b);
  EXPECT_EQ(take(*b), "one");
  EXPECT_FALSE(end);
  EXPECT_EQ(take(*b), "two");
  EXPECT_FALSE(*b->receive(soon()));
  ASSERT_TRUE(end);
  EXPECT_EQ(end->why.code, Code::PeerGone);
  EXPECT_EQ(end->peer, PluginId{1});
}

TEST_F(EndpointTest, AMessageThatIsOutKeepsItsMemoryWhenItsChannelEnds) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  send(*a, channel_to(*a, "b"), "held");
  auto message = b->receive(soon());
  ASSERT_TRUE(message && *message);
  board.leave({1});
  EXPECT_FALSE(*b->receive(in(20ms)));
  EXPECT_EQ(text_of((*message)->payload), "held");
  b->release(**message);
  const LastEnd end(*b);
  EXPECT_FALSE(*b->receive(soon()));
  EXPECT_TRUE(end);
}

TEST_F(EndpointTest, AnOpenLoanKeepsItsMemoryWhenItsChannelEnds) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  const ChannelId to_b = channel_to(*a, "b");
  const auto loan = a->loan(to_b, 10'000, {}, soon());
  ASSERT_TRUE(loan) << loan.error().text;
  const LastEnd end(*a);
  board.leave({2});
  while (!end) ASSERT_TRUE(a->receive(soon()));
  std::ranges::fill(*loan, std::byte{7}); // a fault, were it unmapped
  EXPECT_EQ(a->commit(to_b), 0U);
}

TEST_F(EndpointTest, ABrokenRingEndsItsChannelAndTellsTheManagerWhichRule) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  const auto c = open(plugin(3, "c"));
  const ChannelId to_b = channel_to(*a, "b");
  const ChannelId also_to_b = channel_to(*c, "b");
  const auto data = sys::map_shared(board.sender_end(to_b).data.get(), 0, kHeaderPage + 64,
                                    sys::Access::ReadWrite);
  *reinterpret_cast<std::uint64_t*>(data->data() + kHeaderPage) = 12345;
  const LastEnd end(*b);
  EXPECT_FALSE(*b->receive(soon()));
  ASSERT_TRUE(end);
  EXPECT_EQ(end->why.code, Code::Malformed);
  send(*c, also_to_b, "others go on");
  EXPECT_EQ(take(*b), "others go on");
  EXPECT_EQ(a->send(to_b, {}, bytes_of("x"), kNoWait).value_or(0) != 0, true); // not told yet, or
  while (a->peer(to_b)) (void)a->receive(in(1ms));                             // told by now
  ASSERT_EQ(board.complaints().size(), 1U);
  EXPECT_NE(board.complaints()[0].find("tag"), std::string::npos);
}

TEST_F(EndpointTest, ABellThatRingsWithoutEndAndWithoutAMessageEndsTheChannel) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"), {.spin = 0us});
  const ChannelId to_b = channel_to(*a, "b");
  const ChannelEnd hostile = board.sender_end(to_b);
  std::optional<Ended> end;
  b->on_ended([&](const Ended& ended) { end = ended; });
  for (int i = 0; i < 5000 && !end; ++i) {
    const std::uint64_t once = 1;
    ASSERT_EQ(::write(hostile.data_bell.get(), &once, sizeof once), 8);
    EXPECT_FALSE(*b->receive(kNoWait));
  }
  ASSERT_TRUE(end);
  EXPECT_NE(end->why.text.find("bell"), std::string::npos);
}

} // namespace
} // namespace mohhos::ipc
