#include "warden/identity.hpp"

#include <gtest/gtest.h>

namespace mohhos::warden {
namespace {

TEST(PluginIds, OfAnyInstanceLieInTheReservedRangeAndNeverMeetTheManager) {
  for (const std::uint32_t instance : {0U, 1U, 4093U, 4094U, 0x7FFFFFFFU, 0xFFFFFFFFU}) {
    const std::uint64_t base = uid_base_of(instance);
    EXPECT_GT(base, kManagerUid);
    EXPECT_LT(base + kUidsPerInstance, 0x80000000ULL);
  }
  EXPECT_NE(uid_base_of(1), uid_base_of(2));
}

} // namespace
} // namespace mohhos::warden
