#include "warden/identity.hpp"

#include <gtest/gtest.h>

namespace mohhos::warden {
namespace {

TEST(SubordinateIds, AreFoundByNameOrByNumber) {
  constexpr std::string_view kFile =
      "# comment\nalice:100000:65536\nbob:165536:65536\n1003:231072:1000\n";
  EXPECT_EQ(find_subordinate(kFile, "bob", 1002)->first, 165536U);
  EXPECT_EQ(find_subordinate(kFile, "carol", 1003)->count, 1000U);
  EXPECT_EQ(find_subordinate(kFile, "", 1003)->first, 231072U);
  EXPECT_FALSE(find_subordinate(kFile, "dave", 1004));
  EXPECT_FALSE(find_subordinate(kFile, "", 1004));
}

TEST(SubordinateIds, ALineThatIsWrongIsNoRange) {
  for (const char* line :
       {"bob", "bob:", "bob:1", "bob:1:", "bob::1", "bob:x:1", "bob:1:x", "bob:-1:5", "bob:1:5:6",
        "bob:0:65536", "bob:100000:0", "bob:4294967295:2", "bob:99999999999:1", "bob:0x10:1"})
    EXPECT_FALSE(find_subordinate(line, "bob", 1)) << line;
}

TEST(PluginIds, ExistWhereTheWholeRangeIsMapped) {
  EXPECT_TRUE(maps_plugin_ids("         0          0 4294967295\n"));
  EXPECT_TRUE(maps_plugin_ids("0 0 1879048192\n1879048192 100000 268435456\n"));
  EXPECT_FALSE(maps_plugin_ids("0 1000 1\n"));
  EXPECT_FALSE(maps_plugin_ids("0 1000 1\n1 100000 65536\n"));
  EXPECT_FALSE(maps_plugin_ids(""));
}

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
