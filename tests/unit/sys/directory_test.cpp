#include "sys/directory.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../harness/temporary_directory.hpp"

namespace mohhos::sys {
namespace {

using test::TemporaryDirectory;

const Owner kUs{::geteuid(), ::getegid()};

TEST(MakePath, GivesTheLastComponentItsModeAndOthersTheUsualOne) {
  const TemporaryDirectory top;
  const mode_t before = ::umask(0077);
  const auto made = make_path(top.path(), top.path() / "a/b/c", 0711, kUs, Links::Refused);
  ::umask(before);
  ASSERT_TRUE(made) << made.error().text;
  struct stat status{};
  ASSERT_EQ(::stat((top.path() / "a/b").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0755U);
  ASSERT_EQ(::fstat(made->get(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0711U);
}

TEST(MakePath, GoesThroughASymbolicLinkOnlyWhereThatIsWanted) {
  const TemporaryDirectory top;
  std::filesystem::create_directory(top.path() / "real");
  std::filesystem::create_directory_symlink(top.path() / "real", top.path() / "link");
  const auto wanted = top.path() / "link/x";
  const auto refused = make_path(top.path(), wanted, 0755, kUs, Links::Refused);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text.find((top.path() / "link").string()), std::string::npos);
  EXPECT_TRUE(make_path(top.path(), wanted, 0755, kUs, Links::Followed));
  EXPECT_TRUE(std::filesystem::is_directory(top.path() / "real/x"));
}

TEST(LockFile, IsHeldOnceAndFreeAgainAfterItsDescriptor) {
  const TemporaryDirectory top;
  const Fd directory(::open(top.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const auto path = top.path() / "lock";
  auto first = lock_file_at(directory.get(), path);
  ASSERT_TRUE(first) << first.error().text;
  const auto second = lock_file_at(directory.get(), path);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::Exists);
  EXPECT_NE(second.error().text.find(fmt::format("process {}", ::getpid())), std::string::npos);
  std::filesystem::remove(path); // as its holder does, before it ends
  first->reset();
  EXPECT_TRUE(lock_file_at(directory.get(), path));
}

TEST(ClosedAncestor, IsTheHighestOneThatOthersMayNotSearch) {
  const TemporaryDirectory top; // 0700, ours
  std::filesystem::create_directories(top.path() / "a/b");
  const Owner stranger{::geteuid() + 1, ::getegid() + 1};
  EXPECT_EQ(closed_ancestor(top.path() / "a/b", stranger), top.path());
  EXPECT_EQ(closed_ancestor(top.path() / "a/b", kUs), "");
  ASSERT_EQ(::chmod(top.path().c_str(), 0711), 0);
  EXPECT_EQ(closed_ancestor(top.path() / "a/b", stranger), "");
}

} // namespace
} // namespace mohhos::sys
