#include "ipc/gather.hpp"

#include <gtest/gtest.h>

namespace mohhos::ipc {
namespace {

using namespace std::chrono_literals;

constexpr Burst kOne{.messages = 1};
constexpr Burst kMany{.messages = kLooksAway.enough};
constexpr Burst kHalfRing{.messages = kLooksAway.enough, .fullest = 0.5};

// A Gather and its clock: a pause takes as long as it was to, and so does reading what it brought.
class Reader {
public:
  explicit Reader(const Pauses& pauses) : pauses_(pauses) {}
  std::chrono::nanoseconds pause(const Burst& burst) {
    const auto pause = gather_.pause(burst, pauses_, now_);
    now_ += pause;
    gather_.ended(now_);
    now_ += pause;
    return pause;
  }

private:
  const Pauses& pauses_;
  Gather gather_;
  Monotonic now_{1h};
};

TEST(Gather, InAFlowItPausesEachTime) {
  Reader reader(kLooksAway);
  EXPECT_EQ(reader.pause(kOne), kLooksAway.first); // the first try
  for (int i = 0; i < 100; ++i) EXPECT_EQ(reader.pause(kMany), kLooksAway.first);
}

TEST(Gather, PausesGrowUntilTheyBringEnough) {
  Reader reader(kLooksAway);
  EXPECT_EQ(reader.pause(kOne), 2us);
  EXPECT_EQ(reader.pause({.messages = 20}), 4us);
  EXPECT_EQ(reader.pause({.messages = 40}), 8us);
  EXPECT_EQ(reader.pause({.messages = 80}), 16us);
  EXPECT_EQ(reader.pause({.messages = 160}), kLooksAway.longest);
  EXPECT_EQ(reader.pause({.messages = 320}), kLooksAway.longest);
  EXPECT_EQ(reader.pause(kMany), kLooksAway.longest);
}

TEST(Gather, LongPausesAreForQuickFlows) {
  Reader reader(kLooksAway);
  EXPECT_EQ(reader.pause(kOne), 2us);
  EXPECT_EQ(reader.pause({.messages = 20}), 4us);
  EXPECT_EQ(reader.pause({.messages = 40}), kLooksAway.brief);
  EXPECT_EQ(reader.pause({.messages = 79}), kLooksAway.brief);
  EXPECT_EQ(reader.pause({.messages = 80}), 2 * kLooksAway.brief);
}

TEST(Gather, PausesShrinkWhenARingGetsFullAndEndWhenThatIsNotEnough) {
  const Burst crowd{.messages = kLooksAway.enough, .fullest = 1.01}; // half of it in the pause
  Reader reader(kLooksAway);
  EXPECT_EQ(reader.pause(kOne), 2us);
  EXPECT_EQ(reader.pause(crowd), 1us);
  EXPECT_EQ(reader.pause(crowd), 500ns);
  EXPECT_EQ(reader.pause(crowd), 0ns);
}

TEST(Gather, WhatCameWhileItWasReadDidNotFillTheRing) {
  Reader reader(kLooksAway);
  EXPECT_EQ(reader.pause(kOne), 2us);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(reader.pause(kHalfRing), 2us);
}

TEST(Gather, AFlowThatIsTooSlowIsReadAsItComes) {
  Reader reader(kLooksAway);
  EXPECT_EQ(reader.pause(kOne), 2us);
  EXPECT_EQ(reader.pause({.messages = 9}), 0ns);
}

TEST(Gather, ANapIsLongerAndWorthItInSlowerFlows) {
  Reader reader(kNaps);
  EXPECT_EQ(reader.pause(kOne), 8us);
  EXPECT_EQ(reader.pause({.messages = 8}), 16us);
  EXPECT_EQ(reader.pause({.messages = 159}), 16us);
  EXPECT_EQ(reader.pause({.messages = 160}), 32us);
  EXPECT_EQ(reader.pause({.messages = 320}), kNaps.longest);
  EXPECT_EQ(reader.pause({.messages = 64}), kNaps.longest);
  EXPECT_EQ(reader.pause({.messages = 63}), 0us);
}

TEST(Gather, OneMessageAtATimeIsHardlyEverHeldUp) {
  for (const Pauses& pauses : {kLooksAway, kNaps}) {
    Reader reader(pauses);
    constexpr int kMessages = 1 << 20;
    int paused = 0;
    for (int i = 0; i < kMessages; ++i) paused += reader.pause(kOne) != 0ns ? 1 : 0;
    EXPECT_LE(paused, 40);
    EXPECT_GE(paused, 16); // it never gives up for good
  }
}

TEST(Gather, AFlowAfterOneMessageAtATimeIsFound) {
  Reader reader(kLooksAway);
  for (int i = 0; i < 1000; ++i) (void)reader.pause(kOne);
  int looks = 0;
  while (reader.pause(kMany) == 0ns) ASSERT_LT(++looks, 2000);
  EXPECT_NE(reader.pause(kMany), 0ns);
}

TEST(Gather, WhoIsIdleLooksAtOnceAndForgetsNothing) {
  Reader reader(kLooksAway);
  EXPECT_EQ(reader.pause(kOne), kLooksAway.first);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(reader.pause({}), 0ns);
  EXPECT_EQ(reader.pause(kMany), kLooksAway.first); // what the pause brought
}

TEST(Burst, WhoSendsNextToNothingOfAFlowIsNoPartOfIt) {
  Burst burst;
  EXPECT_FALSE(burst.is_carried_by(0)); // nor is anybody, of nothing
  for (const std::uint64_t bytes : {0, 128, 90'000, 100'000, 5'000}) burst.add_ring(bytes, 262'144);
  EXPECT_FALSE(burst.is_carried_by(0));
  EXPECT_FALSE(burst.is_carried_by(128));
  EXPECT_FALSE(burst.is_carried_by(5'000));
  EXPECT_TRUE(burst.is_carried_by(90'000));
  EXPECT_TRUE(burst.is_carried_by(100'000));
}

TEST(Burst, OfManyEqualRingsEachCarriesTheFlow) {
  Burst burst;
  for (int i = 0; i < 50; ++i) burst.add_ring(4096, 262'144);
  EXPECT_TRUE(burst.is_carried_by(4096));
}

} // namespace
} // namespace mohhos::ipc
