#include "model/version.hpp"

#include <gtest/gtest.h>

namespace mohhos::model {
namespace {

TEST(Version, MissingPartsAreZero) {
  EXPECT_EQ(parse_version("1.4.2").value(), (Version{1, 4, 2}));
  EXPECT_EQ(parse_version("1.4").value(), (Version{1, 4, 0}));
  EXPECT_EQ(parse_version("7").value(), (Version{7, 0, 0}));
}

TEST(Version, OrdersByNumberAndNotByText) {
  EXPECT_LT(parse_version("1.9").value(), parse_version("1.10").value());
  EXPECT_LT(parse_version("2").value(), parse_version("2.0.1").value());
}

TEST(Version, RefusesWhatIsNotOneAndNamesIt) {
  for (const char* text :
       {"", ".", "1.", ".1", "1..2", "1.2.3.4", "-1", "+1", "1.x", "01", "1.2.3-rc1", " 1", "1 ",
        "99999999999", "2147483648", "1234567890.12345"}) {
    const auto parsed = parse_version(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, Code::Invalid);
    EXPECT_NE(parsed.error().text.find(text), std::string::npos) << parsed.error().text;
  }
}

TEST(VersionRange, BothEndsAreInside) {
  const VersionRange range{Version{1, 2, 0}, Version{2, 0, 0}};
  EXPECT_TRUE(range.contains({1, 2, 0}));
  EXPECT_TRUE(range.contains({2, 0, 0}));
  EXPECT_FALSE(range.contains({1, 1, 9}));
  EXPECT_FALSE(range.contains({2, 0, 1}));
}

TEST(VersionRange, SaysOnlyTheBoundsThatItHas) {
  EXPECT_EQ(to_string(VersionRange{}), "any version");
  EXPECT_EQ(to_string(VersionRange{.min = {1, 2, 0}}), ">= 1.2.0");
  EXPECT_EQ(to_string(VersionRange{.max = {3, 0, 0}}), "<= 3.0.0");
  EXPECT_EQ(to_string(VersionRange{{1, 2, 0}, {3, 0, 0}}), ">= 1.2.0, <= 3.0.0");
}

} // namespace
} // namespace mohhos::model
