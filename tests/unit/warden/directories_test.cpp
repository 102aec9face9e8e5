#include "warden/directories.hpp"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../harness/temporary_directory.hpp"

namespace mohhos::warden {
namespace {

namespace fs = std::filesystem;

class Directories : public ::testing::Test {
protected:
  void SetUp() override {
    me_.mode = Mode::Privileged; // strict about symbolic links, with our own uid
    me_.own_uid = me_.manager_uid = ::geteuid();
    me_.own_gid = me_.manager_gid = ::getegid();
  }

  [[nodiscard]] auto prepare() const {
    auto place = find_place(root_.string(), false);
    EXPECT_TRUE(place);
    return prepare_directories(*place, me_);
  }
  static unsigned mode_of(const fs::path& path) {
    struct stat status{};
    return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 07777U : 0;
  }

  test::TemporaryDirectory scratch_;
  const fs::path& root_ = scratch_.path();
  Identity me_;
};

TEST_F(Directories, AreMadeWithTheirModesWhateverTheUmask) {
  const mode_t before = ::umask(0077);
  const auto made = prepare();
  ::umask(before);
  ASSERT_TRUE(made) << made.error().text;
  EXPECT_EQ(mode_of(root_ / "run/mohhos"), 0755U);
  EXPECT_EQ(mode_of(root_ / "etc/mohhos/keys.d"), 0755U);
  EXPECT_EQ(mode_of(root_ / "etc/mohhos/grants.d"), 0755U);
  EXPECT_EQ(mode_of(root_ / "var/lib/mohhos"), 0750U);
  EXPECT_EQ(mode_of(root_ / "var/log/mohhos"), 0750U);
}

TEST_F(Directories, KeepTheModeThatTheOperatorGaveThem) {
  fs::create_directories(root_ / "etc/mohhos");
  ASSERT_EQ(::chmod((root_ / "etc/mohhos").c_str(), 0700), 0);
  ASSERT_TRUE(prepare());
  EXPECT_EQ(mode_of(root_ / "etc/mohhos"), 0700U);
}

TEST_F(Directories, AreLockedUntilTheFirstOneIsGone) {
  auto first = prepare();
  ASSERT_TRUE(first);
  const auto second = prepare();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::Exists);
  EXPECT_NE(second.error().text.find(fmt::format("process {}", ::getpid())), std::string::npos)
      << second.error().text;
  first = fail(Code::Failed, "gone");
  EXPECT_TRUE(prepare());
}

TEST_F(Directories, ASymbolicLinkOnTheWayIsRefusedAndNamed) {
  fs::create_directories(root_ / "elsewhere");
  for (const char* link : {"run", "etc/mohhos", "var/lib"}) {
    const fs::path path = root_ / link;
    fs::create_directories(path.parent_path());
    fs::remove_all(path);
    fs::create_directory_symlink(root_ / "elsewhere", path);
    const auto made = prepare();
    ASSERT_FALSE(made) << link;
    EXPECT_NE(made.error().text.find(path.string()), std::string::npos) << made.error().text;
    EXPECT_TRUE(fs::is_empty(root_ / "elsewhere"));
    fs::remove(path);
  }
}

TEST_F(Directories, AFileInThePlaceOfADirectoryIsNamed) {
  fs::create_directories(root_ / "var");
  std::ofstream(root_ / "var/log") << "x";
  const auto made = prepare();
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().text.find((root_ / "var/log").string()), std::string::npos);
}

TEST_F(Directories, ARootThatIsAFileIsNamed) {
  std::ofstream(root_ / "file") << "x";
  const auto place = find_place((root_ / "file").string(), false);
  ASSERT_FALSE(place);
  EXPECT_NE(place.error().text.find("file"), std::string::npos);
}

TEST_F(Directories, TwoRootsAreTwoInstances) {
  const auto one = find_place((root_ / "one").string(), false);
  const auto two = find_place((root_ / "two").string(), false);
  ASSERT_TRUE(one && two);
  EXPECT_NE(one->instance, two->instance);
  EXPECT_EQ(find_place((root_ / "x/../one").string(), false)->instance, one->instance);
}

} // namespace
} // namespace mohhos::warden
