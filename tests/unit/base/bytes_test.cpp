#include "base/bytes.hpp"

#include <array>
#include <cstdint>
#include <string_view>

#include <gtest/gtest.h>

namespace mohhos {
namespace {

struct Padded {
  std::uint8_t small;
  std::uint32_t large;
};
static_assert(PlainBytes<std::uint64_t> && !PlainBytes<Padded>);
static_assert(!PlainBytes<std::string_view>, "its bytes are a pointer");

TEST(Bytes, ValuesAndRangesAreAppendedOneBehindTheOther) {
  constexpr std::array kMore = {std::byte{5}, std::byte{6}};
  std::vector<std::byte> bytes;
  append(bytes, std::uint32_t{0x04030201});
  append(bytes, kMore);
  ASSERT_EQ(bytes.size(), 6U);
  for (std::size_t i = 0; i < bytes.size(); ++i)
    EXPECT_EQ(std::to_integer<std::size_t>(bytes[i]), i + 1);
}

} // namespace
} // namespace mohhos
