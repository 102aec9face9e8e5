// Whose turn it is to be received from, and what comes between two messages of one ring.
#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "endpoints.hpp"

namespace mohhos::ipc {
namespace {

using namespace std::chrono_literals;
using namespace testing;

class EndpointTurns : public EndpointTest {
protected:
  // As many as the ring takes, or so many.
  static void flood(Endpoint& endpoint, ChannelId channel, int most = 1000) {
    while (most-- != 0 && endpoint.send(channel, {}, bytes_of("flood"), kNoWait)) {
    }
  }
  // So many, so that more of this ring may be at hand.
  static void take_some(Endpoint& endpoint, int messages) {
    for (int i = 0; i < messages; ++i) ASSERT_EQ(take(endpoint), "flood");
  }
  void say_something(PluginId to) {
    SetConfig config;
    put_text(config.key, "something");
    board.say(to, config);
  }

  std::unique_ptr<Endpoint> a = open(plugin(1, "a"));
  std::unique_ptr<Endpoint> b = open(plugin(2, "b"));
  ChannelId to_b = channel_to(*a, "b");
};

// Sleepers that are rung, rings that are idle, loans with more to come, messages that are held.
TEST_F(EndpointTurns, OfManyRingsEachMessageComesOnceAndInOrder) {
  std::mt19937 random(5);
  constexpr std::size_t kSenders = 3;
  constexpr std::size_t kRings = kSenders * 4; // one for each priority
  std::array<std::unique_ptr<Endpoint>, kSenders> senders;
  std::array<ChannelId, kSenders> channels;
  for (std::size_t i = 0; i < kSenders; ++i) {
    senders[i] = open(plugin(10 + i, "s" + std::to_string(i)), {.ring_bytes = 4096});
    channels[i] = channel_to(*senders[i], "b");
  }
  std::array<std::uint64_t, kRings> sent{};
  std::array<std::uint64_t, kRings> received{};
  std::vector<Message> out;
  const auto receive = [&](Monotonic deadline) {
    auto message = b->receive(deadline);
    ASSERT_TRUE(message);
    if (!*message) return;
    std::uint64_t said[2]; // which ring, the how many-th
    ASSERT_EQ((*message)->payload.size(), sizeof said);
    std::memcpy(said, (*message)->payload.data(), sizeof said);
    ASSERT_EQ((*message)->sender.value, 10 + said[0] / 4);
    ASSERT_EQ(said[1], received[said[0]]++);
    out.push_back(**message);
  };
  const auto send = [&](std::size_t who) {
    const std::size_t ring = who * 4 + random() % 4;
    const Outgoing about{.priority = static_cast<Priority>(ring % 4), .more = random() % 2 == 0};
    const std::uint64_t said[2] = {ring, sent[ring]};
    if (senders[who]->send(channels[who], about, std::as_bytes(std::span(said)), kNoWait))
      ++sent[ring];
  };
  const auto release = [&] {
    for (const Message& message : out) b->release(message);
    out.clear();
  };
  std::uint32_t eager = 1;
  for (int step = 0; step < 20'000; ++step) {
    if (random() % 100 == 0) eager = random() % 8;
    if (random() % 200 == 0) b->hold_messages(random() % 2 == 0);
    if (random() % 20 == 0) (void)b->prepare_wait();
    if (random() % 20 == 0) (void)senders[random() % kSenders]->receive(kNoWait);
    if (random() % 8 < eager) {
      send(random() % kSenders);
    } else {
      ASSERT_NO_FATAL_FAILURE(receive(random() % 4 == 0 ? kNoWait : kAtHand)) << "step " << step;
    }
    if (random() % 4 == 0) release();
  }
  release();
  b->hold_messages(false);
  for (const auto& sender : senders) sender->flush();
  while (received != sent && !HasFatalFailure()) {
    const std::uint64_t before = b->counters().received;
    ASSERT_NO_FATAL_FAILURE(receive(soon()));
    ASSERT_EQ(b->counters().received, before + 1); // nothing that is there is waited for in vain
    release();
  }
  EXPECT_FALSE(*b->receive(kNoWait));
  EXPECT_GT(*std::ranges::min_element(sent), 100U);
}

// Whatever was found before: the ring full, or empty again and again.
TEST_F(EndpointTurns, TheLinkIsLookedAtOnceIn256LooksForMessages) {
  constexpr int kReceivesPerPoll = 256;
  for (const int before : {0, 1, 5, 100, 255, 256, 257, 300}) {
    flood(*a, to_b, before);
    take_some(*b, before);
    for (int i = 0; i < before % 7; ++i) ASSERT_FALSE(*b->receive(kAtHand));
    bool told = false;
    b->on_record([&](const LinkRecord&) { told = true; });
    flood(*a, to_b, 2 * kReceivesPerPoll + 20);
    say_something({2});
    int received = 0;
    while (!told) {
      ASSERT_EQ(take(*b), "flood");
      ++received;
    }
    EXPECT_LE(received, kReceivesPerPoll + 1) << "after " << before;
    while (auto rest = *b->receive(kAtHand)) b->release(*rest);
  }
}

TEST_F(EndpointTurns, RingsThatAreFullTakeTurnsOfSixteenMessages) {
  const auto c = open(plugin(3, "c"));
  const ChannelId from_c = channel_to(*c, "b");
  send(*c, from_c, "flood");
  take_some(*b, 1); // both are known from here on
  flood(*a, to_b);
  flood(*c, from_c);
  std::vector<int> turns;
  PluginId last;
  for (int i = 0; i < 400; ++i) {
    auto message = b->receive(soon());
    ASSERT_TRUE(message && *message);
    if ((*message)->sender != last) turns.push_back(0);
    last = (*message)->sender;
    ++turns.back();
    b->release(**message);
  }
  ASSERT_GT(turns.size(), 20U);
  // (The first one had begun before, and the last one may have no end.)
  EXPECT_EQ(*std::ranges::max_element(turns.begin() + 1, turns.end()), 16);
  EXPECT_EQ(*std::ranges::min_element(turns.begin() + 1, turns.end() - 1), 16);
}

TEST_F(EndpointTurns, WhatEndedBetweenTwoMessagesIsToldBeforeTheNext) {
  flood(*a, to_b, 50);
  take_some(*b, 3);
  bool told = false;
  const auto number =
      b->call(channel_to(*b, "a"), {.type = MessageType::DataRequest}, bytes_of("?"), soon(),
              [&](const Result<const Message*>&) { told = true; });
  ASSERT_TRUE(number);
  take_some(*b, 3);
  ASSERT_TRUE(b->cancel(*number));
  EXPECT_FALSE(told);
  take_some(*b, 1);
  EXPECT_TRUE(told);
  take_some(*b, 43);
}

TEST_F(EndpointTurns, ASleeperIsRungBeforeItsSenderTakesTheNextMessage) {
  const auto c = open(plugin(3, "c"));
  const ChannelId to_c = channel_to(*b, "c");
  send(*b, to_c, "first");
  EXPECT_EQ(take(*c), "first");
  flood(*a, to_b, 100);
  take_some(*b, 5);
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(c->prepare_wait());
    const std::uint64_t before = b->counters().bells;
    ASSERT_TRUE(b->send(to_c, {.more = true}, bytes_of("more"), soon()));
    take_some(*b, 1);
    EXPECT_EQ(b->counters().bells, before + 1);
    EXPECT_EQ(take(*c), "more");
    take_some(*b, 3);
  }
}

TEST_F(EndpointTurns, MessagesAreHeldFromTheNextOneOn) {
  flood(*a, to_b, 50);
  take_some(*b, 5);
  b->hold_messages(true);
  EXPECT_FALSE(*b->receive(kNoWait));
  EXPECT_FALSE(*b->receive(kAtHand));
  b->hold_messages(false);
  take_some(*b, 45);
}

TEST_F(EndpointTurns, AnotherRingOfTheSameSenderIsServedByItsRankOnceItIsKnown) {
  ASSERT_TRUE(a->send(to_b, {.priority = Priority::Critical}, bytes_of("now"), soon()));
  EXPECT_EQ(take(*b), "now");
  flood(*a, to_b, 50);
  take_some(*b, 5);
  ASSERT_TRUE(a->send(to_b, {.priority = Priority::Critical}, bytes_of("now"), soon()));
  EXPECT_EQ(take(*b), "now");
  take_some(*b, 45);
}

TEST_F(EndpointTurns, AWholeCallFitsBetweenTwoMessages) {
  const ChannelId to_a = channel_to(*b, "a");
  flood(*a, to_b, 100);
  take_some(*b, 5);
  for (int i = 0; i < 5; ++i) {
    std::thread answering([&] {
      auto request = a->receive(soon());
      ASSERT_TRUE(request && *request);
      EXPECT_TRUE(a->respond(reply_to(**request), bytes_of("!"), soon()));
      a->release(**request);
    });
    const auto answer =
        b->call_and_wait(to_a, {.type = MessageType::DataRequest}, bytes_of("?"), soon());
    answering.join();
    ASSERT_TRUE(answer) << answer.error().text;
    take_some(*b, 5);
  }
  take_some(*b, 70);
}

// Held: a message of it is out when it breaks, and its end is told when that is released.
TEST_F(EndpointTurns, ARingThatBreaksInItsTurnLeavesItToTheOthers) {
  for (const bool held : {false, true}) {
    const auto c = open(plugin(3, "c"));
    const ChannelId from_c = channel_to(*c, "b");
    send(*c, from_c, "flood");
    take_some(*b, 1); // both are known from here on
    flood(*a, to_b, 40);
    const auto sent = c->send(from_c, {}, bytes_of("c"), soon());
    ASSERT_TRUE(sent);
    {
      // Behind that lies something else than a record.
      const ChannelEnd raw = board.sender_end(from_c);
      const auto ring =
          sys::map_shared(raw.data.get(), 0, kHeaderPage + kDefaultRing, sys::Access::ReadWrite);
      const std::uint64_t behind = (*sent - 1) * kGrain + 32;
      for (const std::uint64_t place : {behind, (behind + kPair - 1) & ~(kPair - 1)})
        *reinterpret_cast<std::uint64_t*>(ring->data() + kHeaderPage + place) = 1;
    }
    const LastEnd end(*b);
    int floods = 0;
    std::optional<Message> of_c;
    while (floods < 40) {
      auto message = b->receive(soon());
      ASSERT_TRUE(message);
      if (!*message) continue; // the end was told
      if ((*message)->sender == PluginId{3} && held) {
        of_c = **message;
        continue;
      }
      floods += (*message)->sender == PluginId{1};
      b->release(**message);
    }
    EXPECT_EQ(of_c.has_value(), held);
    EXPECT_NE(static_cast<bool>(end), held);
    if (held) {
      EXPECT_EQ(text_of(of_c->payload), "c");
      b->release(*of_c);
    }
    EXPECT_FALSE(*b->receive(kNoWait));
    ASSERT_TRUE(end);
    EXPECT_EQ(end->why.code, Code::Malformed);
    b->on_ended({});
    board.leave({3});
    EXPECT_FALSE(*b->receive(kNoWait));
  }
}

TEST_F(EndpointTurns, ARingWhoseSenderGoesInItsTurnIsReadToItsEnd) {
  flood(*a, to_b, 50);
  take_some(*b, 5);
  const LastEnd end(*b);
  board.leave({1});
  auto held = b->receive(soon());
  ASSERT_TRUE(held && *held);
  take_some(*b, 43);
  auto last = b->receive(soon());
  ASSERT_TRUE(last && *last);
  EXPECT_FALSE(*b->receive(kNoWait));
  EXPECT_FALSE(end);
  b->release(**last);
  EXPECT_FALSE(*b->receive(soon()));
  EXPECT_TRUE(end);
}

} // namespace
} // namespace mohhos::ipc
