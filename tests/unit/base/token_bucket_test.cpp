#include "base/token_bucket.hpp"

#include <gtest/gtest.h>

namespace mohhos {
namespace {

using std::chrono::milliseconds;

TEST(TokenBucket, LetsABurstThroughAndThenTheRate) {
  const Monotonic start{};
  TokenBucket bucket(10, 5, start);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(bucket.take(start));
  EXPECT_FALSE(bucket.take(start));
  EXPECT_FALSE(bucket.take(start + milliseconds(50)));
  EXPECT_TRUE(bucket.take(start + milliseconds(101)));
  EXPECT_FALSE(bucket.take(start + milliseconds(102)));
}

TEST(TokenBucket, IsFullAgainWhenWhatWasTakenHasCome) {
  const Monotonic start{};
  TokenBucket bucket(10, 2, start);
  EXPECT_TRUE(bucket.full(start));
  ASSERT_TRUE(bucket.take(start));
  EXPECT_FALSE(bucket.full(start + milliseconds(99)));
  EXPECT_TRUE(bucket.full(start + milliseconds(101)));
}

TEST(TokenBucket, SavesNoMoreThanItsBurst) {
  const Monotonic start{};
  TokenBucket bucket(10, 2, start);
  const Monotonic later = start + std::chrono::hours(1);
  EXPECT_TRUE(bucket.take(later));
  EXPECT_TRUE(bucket.take(later));
  EXPECT_FALSE(bucket.take(later));
}

TEST(TokenBucket, SaysWhenItWillHaveEnough) {
  const Monotonic start{};
  TokenBucket bucket(100, 10, start);
  while (bucket.take(start)) {
  }
  const auto wait = bucket.until(5);
  EXPECT_GE(wait, milliseconds(50));
  EXPECT_LT(wait, milliseconds(51));
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(bucket.take(start + wait));
  EXPECT_FALSE(bucket.take(start + wait));
}

} // namespace
} // namespace mohhos
