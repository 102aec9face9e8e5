#include "base/reader.hpp"

#include <array>
#include <limits>

#include <gtest/gtest.h>

namespace mohhos {
namespace {

constexpr std::array<std::byte, 6> kBytes = {std::byte{1}, std::byte{2}, std::byte{3},
                                             std::byte{4}, std::byte{5}, std::byte{6}};
constexpr std::uint64_t kFarthest = std::numeric_limits<std::uint64_t>::max();

TEST(Reader, ReadsUnalignedValuesInsideTheRange) {
  const Reader reader(kBytes);
  EXPECT_EQ(reader.at<std::uint32_t>(1), 0x05040302U);
  EXPECT_EQ(reader.at<std::uint8_t>(5), 6U);
}

TEST(Reader, RefusesWhatLiesPartlyOutside) {
  const Reader reader(kBytes);
  EXPECT_FALSE(reader.at<std::uint32_t>(3));
  EXPECT_FALSE(reader.at<std::uint8_t>(6));
  EXPECT_FALSE(reader.range(2, 5));
}

TEST(Reader, OffsetsAndSizesThatOverflowAreOutside) {
  const Reader reader(kBytes);
  EXPECT_FALSE(reader.range(kFarthest, 1));
  EXPECT_FALSE(reader.range(1, kFarthest));
  EXPECT_FALSE(reader.range(kFarthest, kFarthest));
}

TEST(Reader, AnEmptyRangeAtTheEndIsInside) {
  const Reader reader(kBytes);
  ASSERT_TRUE(reader.range(6, 0));
  EXPECT_TRUE(reader.range(6, 0)->empty());
}

} // namespace
} // namespace mohhos
