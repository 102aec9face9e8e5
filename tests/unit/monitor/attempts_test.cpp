#include "monitor/attempts.hpp"

#include <gtest/gtest.h>

namespace mohhos::monitor {
namespace {

model::Refusal attempt(int syscall, std::string path, std::uint64_t when = 1) {
  model::Refusal refusal;
  refusal.syscall = syscall;
  refusal.path = std::move(path);
  refusal.first_us = refusal.last_us = when;
  return refusal;
}

TEST(Attempts, TheSameCallWithTheSamePathIsOneEntryWithACount) {
  Attempts attempts;
  EXPECT_TRUE(attempts.add(attempt(257, "/etc/shadow", 10)));
  EXPECT_FALSE(attempts.add(attempt(257, "/etc/shadow", 20)));
  EXPECT_TRUE(attempts.add(attempt(257, "/etc/passwd", 30)));
  ASSERT_EQ(attempts.entries().size(), 2U);
  EXPECT_EQ(attempts.entries()[0].count, 2U);
  EXPECT_EQ(attempts.entries()[0].first_us, 10U);
  EXPECT_EQ(attempts.entries()[0].last_us, 20U);
  EXPECT_EQ(attempts.refused(), 3U);
}

TEST(Attempts, WhatWasAllowedIsKeptApartAndNotCountedAsRefused) {
  Attempts attempts;
  auto allowed = attempt(257, "/data");
  allowed.verdict = model::Verdict::Allowed;
  EXPECT_TRUE(attempts.add(allowed));
  EXPECT_TRUE(attempts.add(attempt(257, "/data")));
  EXPECT_EQ(attempts.entries().size(), 2U);
  EXPECT_EQ(attempts.refused(), 1U);
}

TEST(Attempts, AreBoundedAndTheLostAreCountedExactly) {
  Attempts attempts;
  for (std::size_t i = 0; i < kKeptAttempts + 44; ++i)
    static_cast<void>(attempts.add(attempt(257, std::to_string(i))));
  EXPECT_EQ(attempts.entries().size(), kKeptAttempts);
  EXPECT_EQ(attempts.lost(), 44U);
  attempts.add_lost(6);
  EXPECT_EQ(attempts.lost(), 50U);
  EXPECT_EQ(attempts.refused(), kKeptAttempts + 50);
}

TEST(Attempts, CanBeTakenOverByASuccessor) {
  Attempts first;
  static_cast<void>(first.add(attempt(257, "/etc/shadow")));
  static_cast<void>(first.add(attempt(257, "/etc/shadow")));
  first.add_lost(2);
  const Attempts second(first.entries(), first.lost());
  ASSERT_EQ(second.entries().size(), 1U);
  EXPECT_EQ(second.entries()[0].count, 2U);
  EXPECT_EQ(second.refused(), first.refused());
}

TEST(Attempts, SayWhenTheyChanged) {
  Attempts attempts;
  const auto before = attempts.revision();
  attempts.add_lost(0);
  EXPECT_EQ(attempts.revision(), before);
  static_cast<void>(attempts.add(attempt(1, "")));
  EXPECT_NE(attempts.revision(), before);
}

} // namespace
} // namespace mohhos::monitor
