#include "sys/user_namespace.hpp"

#include <gtest/gtest.h>

namespace mohhos::sys {
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

TEST(UidMap, CoversARangeOnlyWithOneOfItsLines) {
  EXPECT_TRUE(maps_range("         0          0 4294967295\n", 100, 200));
  EXPECT_TRUE(maps_range("0 0 100\n100 100000 101\n", 100, 200));
  EXPECT_FALSE(maps_range("0 0 100\n100 100000 100\n", 100, 200));
  EXPECT_FALSE(maps_range("0 1000 1\n", 100, 200));
  EXPECT_FALSE(maps_range("", 0, 0));
}

} // namespace
} // namespace mohhos::sys
