#include "ipc/gather.hpp"

#include <gtest/gtest.h>

namespace mohhos::ipc {
namespace {

using namespace std::chrono_literals;

constexpr Burst kOne{.messages = 1};
constexpr Burst kMany{.messages = Gather::kEnough};
constexpr Burst kCrowd{.messages = Gather::kEnough, .crowded = true};

TEST(Gather, InAFlowItPausesEachTime) {
  Gather gather;
  EXPECT_EQ(gather.pause(kOne), Gather::kFirst); // the first try
  for (int i = 0; i < 100; ++i) EXPECT_EQ(gather.pause(kMany), Gather::kFirst);
}

TEST(Gather, PausesGrowUntilTheyBringEnough) {
  Gather gather;
  EXPECT_EQ(gather.pause(kOne), 2us);
  EXPECT_EQ(gather.pause({.messages = 20}), 4us);
  EXPECT_EQ(gather.pause({.messages = 40}), 8us);
  EXPECT_EQ(gather.pause({.messages = 80}), 16us);
  EXPECT_EQ(gather.pause({.messages = 160}), Gather::kLongest);
  EXPECT_EQ(gather.pause({.messages = 320}), Gather::kLongest);
  EXPECT_EQ(gather.pause(kMany), Gather::kLongest);
}

TEST(Gather, LongPausesAreForQuickFlows) {
  Gather gather;
  EXPECT_EQ(gather.pause(kOne), 2us);
  EXPECT_EQ(gather.pause({.messages = 20}), 4us);
  EXPECT_EQ(gather.pause({.messages = 40}), Gather::kShort);
  EXPECT_EQ(gather.pause({.messages = 79}), Gather::kShort);
  EXPECT_EQ(gather.pause({.messages = 80}), 2 * Gather::kShort);
}

TEST(Gather, PausesShrinkWhenARingGetsFullAndEndWhenThatIsNotEnough) {
  Gather gather;
  EXPECT_EQ(gather.pause(kOne), 2us);
  EXPECT_EQ(gather.pause(kCrowd), 1us);
  EXPECT_EQ(gather.pause(kCrowd), 500ns);
  EXPECT_EQ(gather.pause(kCrowd), 0ns);
}

TEST(Gather, AFlowThatIsTooSlowIsReadAsItComes) {
  Gather gather;
  EXPECT_EQ(gather.pause(kOne), 2us);
  EXPECT_EQ(gather.pause({.messages = 9}), 0ns);
}

TEST(Gather, OneMessageAtATimeIsHardlyEverHeldUp) {
  Gather gather;
  constexpr int kMessages = 1 << 20;
  int paused = 0;
  for (int i = 0; i < kMessages; ++i) paused += gather.pause(kOne) != 0ns ? 1 : 0;
  EXPECT_LE(paused, 40);
  EXPECT_GE(paused, 16); // it never gives up for good
}

TEST(Gather, AFlowAfterOneMessageAtATimeIsFound) {
  Gather gather;
  for (int i = 0; i < 1000; ++i) (void)gather.pause(kOne);
  int looks = 0;
  while (gather.pause(kMany) == 0ns) ASSERT_LT(++looks, 2000);
  EXPECT_NE(gather.pause(kMany), 0ns);
}

TEST(Gather, WhoIsIdleLooksAtOnceAndForgetsNothing) {
  Gather gather;
  EXPECT_EQ(gather.pause(kOne), Gather::kFirst);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(gather.pause({}), 0ns);
  EXPECT_EQ(gather.pause(kMany), Gather::kFirst); // what the pause brought
}

} // namespace
} // namespace mohhos::ipc
