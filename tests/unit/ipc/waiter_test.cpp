#include "ipc/waiter.hpp"

#include <chrono>

#include <gtest/gtest.h>

#include "ipc/deadline.hpp"
#include "ipc/doorbell.hpp"
#include "sys/socket.hpp"

namespace mohhos::ipc {
namespace {

using namespace std::chrono_literals;

class WaiterTest : public ::testing::Test {
protected:
  WaiterTest() { EXPECT_TRUE(waiter.add_bell(bell.get(), WakeKind::Data, 7)); }
  sys::SocketPair link = *sys::make_seqpacket_pair();
  Waiter waiter = *Waiter::open(link.first.get());
  sys::Fd bell = *make_doorbell();
};

TEST_F(WaiterTest, ANapEndsByItselfAndNothingRang) {
  for (const auto time : {10us, 0us, 1us}) EXPECT_TRUE(waiter.nap(time).empty());
  EXPECT_TRUE(waiter.wait(kNoWait).empty());
}

TEST_F(WaiterTest, ABellEndsANap) {
  ring_doorbell(bell.get());
  const auto wakes = waiter.nap(10h);
  ASSERT_EQ(wakes.size(), 1U);
  EXPECT_EQ(wakes[0].kind, WakeKind::Data);
  EXPECT_EQ(wakes[0].channel, 7U);
}

// The time that was left of one is nothing to those who wait after it.
TEST_F(WaiterTest, ANapThatEndedEarlyIsOver) {
  for (int i = 0; i < 100; ++i) {
    ring_doorbell(bell.get());
    EXPECT_EQ(waiter.nap(1us).size(), 1U);
    EXPECT_TRUE(waiter.wait(kNoWait).empty());
  }
}

TEST_F(WaiterTest, ATimerRingsDuringANapAsEverybodyDoes) {
  ASSERT_TRUE(waiter.set_timer(1us));
  const auto wakes = waiter.nap(10h);
  ASSERT_EQ(wakes.size(), 1U);
  EXPECT_EQ(wakes[0].kind, WakeKind::Timer);
}

} // namespace
} // namespace mohhos::ipc
