#include "sandbox/cgroup_tree.hpp"

#include <atomic>
#include <filesystem>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "../../harness/temporary_directory.hpp"

namespace mohhos::sandbox {
namespace {

// A 'mount' of a directory of ours: only its place is looked at.
class FindHierarchy : public testing::Test {
protected:
  void make(const std::string& name) const {
    std::filesystem::create_directories(directory.path().native() + name);
  }
  std::optional<std::string> home(const std::string& root, const std::string& own,
                                  const std::string& controller = "memory") const {
    const std::string mounts =
        fmt::format("24 30 0:22 / /proc rw - proc proc rw\n"
                    "30 23 0:26 {0} {1}/v1 rw,nosuid shared:9 - cgroup cgroup rw,memory\n"
                    "31 23 0:27 {0} {1}/v2 rw,nosuid - cgroup2 cgroup2 rw\n",
                    root, directory.path().native());
    const auto found = find_hierarchy(
        mounts, fmt::format("9:cpu,cpuacct:/\n8:memory:{0}\n0::{0}\n", own), controller);
    if (!found) return std::nullopt;
    EXPECT_TRUE(found->home.starts_with(found->mount));
    return found->home.substr(directory.path().native().size());
  }
  test::TemporaryDirectory directory;
};

TEST_F(FindHierarchy, IsWhereItsMountShowsOurGroup) {
  make("/v1/a/b");
  make("/v2/a/b");
  EXPECT_EQ(home("/", "/a/b"), "/v1/a/b");
  EXPECT_EQ(home("/", "/a/b", ""), "/v2/a/b");
  EXPECT_EQ(home("/a", "/a/b"), std::nullopt); // nothing there: /v1/b
  make("/v1/b");
  EXPECT_EQ(home("/a", "/a/b"), "/v1/b"); // a container's part of the tree
  EXPECT_EQ(home("/a/b", "/a/b"), "/v1");
}

TEST_F(FindHierarchy, IsNowhereOutsideOfWhatIsMounted) {
  make("/v1");
  make("/v1-too");
  EXPECT_EQ(home("/", "/../elsewhere"), std::nullopt);
  EXPECT_EQ(home("/ours", "/theirs"), std::nullopt);
  EXPECT_EQ(home("/ours", "/ours-too"), std::nullopt); // no part of /ours
  EXPECT_EQ(home("/", "/", "pids"), std::nullopt);     // not mounted
  EXPECT_EQ(find_hierarchy("no mount at all\n\n", "0::/", ""), std::nullopt);
}

TEST(CgroupFiles, NumbersAndWordsAreFoundWholeOnly) {
  EXPECT_EQ(number_after("oom_kill_disable 0\noom_kill 7\n", "oom_kill"), 7U);
  EXPECT_EQ(number_after("oom_kill_disable 3\n", "oom_kill"), 0U);
  EXPECT_TRUE(has_word("cpu memory pids", "memory", ' '));
  EXPECT_FALSE(has_word("cpuset", "cpu", ' '));
}

// What a daemon left is found though other daemons make and remove groups beside it.
TEST(CgroupFiles, DirectoriesAreFoundWhileOthersComeAndGo) {
  const test::TemporaryDirectory top(test::fast_place());
  const std::string wanted = top.path() / "one" / "two" / "wanted";
  std::filesystem::create_directories(wanted);
  std::atomic<bool> stop = false;
  std::thread busy([&] {
    std::error_code ignored;
    while (!stop) {
      for (int i = 0; i < 50; ++i)
        std::filesystem::create_directories(top.path() / fmt::format("{}", i) / "below", ignored);
      for (int i = 0; i < 50; ++i)
        std::filesystem::remove_all(top.path() / fmt::format("{}", i), ignored);
    }
  });
  int found = 0;
  for (int i = 0; i < 300; ++i)
    if (find_directories(top.path(), "wanted") == std::vector{wanted}) ++found;
  stop = true;
  busy.join();
  EXPECT_EQ(found, 300);
}

} // namespace
} // namespace mohhos::sandbox
