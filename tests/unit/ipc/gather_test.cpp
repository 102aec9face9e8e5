#include "ipc/gather.hpp"

#include <gtest/gtest.h>

namespace mohhos::ipc {
namespace {

using namespace std::chrono_literals;

TEST(Gather, InAFlowItPausesEachTime) {
  Gather gather;
  EXPECT_EQ(gather.pause(1), Gather::kPause); // the first try
  for (int i = 0; i < 100; ++i) EXPECT_EQ(gather.pause(Gather::kWorthIt), Gather::kPause);
}

TEST(Gather, OneMessageAtATimeIsHardlyEverHeldUp) {
  Gather gather;
  constexpr int kMessages = 1 << 20;
  int paused = 0;
  for (int i = 0; i < kMessages; ++i) paused += gather.pause(1) != 0ns ? 1 : 0;
  EXPECT_LE(paused, 40);
  EXPECT_GE(paused, 16); // it never gives up for good
}

TEST(Gather, AFlowAfterOneMessageAtATimeIsFound) {
  Gather gather;
  for (int i = 0; i < 1000; ++i) (void)gather.pause(1);
  int looks = 0;
  while (gather.pause(Gather::kWorthIt) == 0ns) ASSERT_LT(++looks, 2000);
  EXPECT_EQ(gather.pause(Gather::kWorthIt), Gather::kPause);
}

TEST(Gather, WhoIsIdleLooksAtOnceAndForgetsNothing) {
  Gather gather;
  EXPECT_EQ(gather.pause(1), Gather::kPause);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(gather.pause(0), 0ns);
  EXPECT_EQ(gather.pause(Gather::kWorthIt), Gather::kPause); // what the pause brought
}

} // namespace
} // namespace mohhos::ipc
