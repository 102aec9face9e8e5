#include "base/error.hpp"

#include <cerrno>
#include <set>

#include <gtest/gtest.h>

namespace mohhos {
namespace {

constexpr int kCodeCount = static_cast<int>(Code::Unsupported);

Result<int> half(int n) {
  if (n % 2 != 0) return fail(Code::Invalid, "{} is odd", n);
  return n / 2;
}

Result<int> quarter(int n) {
  TRY(const int once, half(n));
  TRY(half(once));
  return half(once);
}

TEST(Error, TryGivesTheValueOrReturnsTheFirstError) {
  EXPECT_EQ(quarter(8).value(), 2);
  const auto refused = quarter(6);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::Invalid);
  EXPECT_EQ(refused.error().text, "3 is odd");
}

TEST(Error, ContextGoesInFrontAndTheCodeStays) {
  const Error error = Error{Code::Denied, "not yours"}.within("loading ocr");
  EXPECT_EQ(error.code, Code::Denied);
  EXPECT_EQ(error.text, "loading ocr: not yours");
}

TEST(Error, EveryCodeHasAWordOfItsOwn) {
  std::set<std::string_view> words;
  for (int i = 1; i <= kCodeCount; ++i) words.insert(code_name(static_cast<Code>(i)));
  EXPECT_EQ(words.size(), static_cast<std::size_t>(kCodeCount));
}

TEST(Error, ExitCodesAreThoseOfTheDocumentation) {
  EXPECT_EQ(exit_code(Code::Failed), 1);
  EXPECT_EQ(exit_code(Code::Invalid), 2);
  EXPECT_EQ(exit_code(Code::NotRunning), 3);
  EXPECT_EQ(exit_code(Code::NotFound), 4);
  EXPECT_EQ(exit_code(Code::Denied), 5);
  EXPECT_EQ(exit_code(Code::Untrusted), 6);
  EXPECT_EQ(exit_code(Code::NoSandbox), 7);
  EXPECT_EQ(exit_code(Code::Dependency), 8);
  EXPECT_EQ(exit_code(Code::Incompatible), 9);
  EXPECT_EQ(exit_code(Code::ConsentNeeded), 10);
  EXPECT_EQ(exit_code(Code::Unreachable), 69);
  EXPECT_EQ(exit_code(Code::TimedOut), 124);
}

TEST(Error, ACodeFromOutsideTheEnumIsAFailure) {
  EXPECT_EQ(exit_code(static_cast<Code>(0)), 1);
  EXPECT_EQ(exit_code(static_cast<Code>(200)), 1);
}

TEST(Error, AFullDiskIsExhaustedAndNamesWhat) {
  const auto full = fail_errno(ENOSPC, "writing the record");
  EXPECT_EQ(full.error().code, Code::Exhausted);
  EXPECT_EQ(full.error().text, "writing the record: No space left on device");
}

} // namespace
} // namespace mohhos
