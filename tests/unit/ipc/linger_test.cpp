#include "ipc/linger.hpp"

#include <gtest/gtest.h>

namespace mohhos::ipc {
namespace {

using namespace std::chrono_literals;

TEST(Linger, LooksLongerAfterASleepThatWasNotWorthIt) {
  Linger linger;
  EXPECT_EQ(linger.time(), 0us);
  linger.woken_after(10us);
  EXPECT_EQ(linger.time(), Linger::kLook);
  linger.woken_after(1ms);
  EXPECT_EQ(linger.time(), 0us);
}

TEST(Linger, TriesLessAndLessOftenWhatIsInVain) {
  Linger linger;
  int tries = 0;
  constexpr int kWakes = 10'000;
  for (int i = 0; i < kWakes; ++i) {
    linger.woken_after(3us);
    if (linger.time() == 0us) continue;
    ++tries;
    linger.in_vain();
  }
  EXPECT_LT(tries, 16);
  EXPECT_GT(tries, 5);
}

TEST(Linger, GoesOnWithWhatSucceeds) {
  Linger linger;
  linger.woken_after(3us);
  linger.in_vain();
  for (int i = 0; i < 10; ++i) linger.woken_after(3us);
  EXPECT_EQ(linger.time(), Linger::kLook);
  for (int i = 0; i < 100; ++i) {
    linger.found();
    EXPECT_EQ(linger.time(), Linger::kLook);
  }
}

} // namespace
} // namespace mohhos::ipc
