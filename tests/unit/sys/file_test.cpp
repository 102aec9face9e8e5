#include "sys/file.hpp"

#include <fstream>

#include <sys/stat.h>

#include <gtest/gtest.h>

#include "../../harness/temporary_directory.hpp"

namespace mohhos::sys {
namespace {

using test::TemporaryDirectory;

class File : public ::testing::Test {
protected:
  TemporaryDirectory directory_;
  std::filesystem::path in(const char* name) { return directory_.path() / name; }
};

TEST_F(File, AFileIsReadWhole) {
  std::ofstream(in("a")) << "some text";
  EXPECT_EQ(read_file(in("a"), kib(1)).value(), "some text");
}

TEST_F(File, OneByteOverTheBoundIsTooLarge) {
  std::ofstream(in("a")) << "12345";
  EXPECT_EQ(read_file(in("a"), Bytes{5}).value(), "12345");
  EXPECT_EQ(read_file(in("a"), Bytes{4}).error().code, Code::TooLarge);
}

TEST_F(File, ADirectoryIsCalledOne) {
  const auto refused = open_regular(directory_.path());
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text.find("is a directory"), std::string::npos) << refused.error().text;
}

TEST_F(File, AFifoIsRefusedAndDoesNotBlock) {
  ASSERT_EQ(::mkfifo(in("pipe").c_str(), 0600), 0);
  const auto refused = open_regular(in("pipe"));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text.find("is a FIFO"), std::string::npos) << refused.error().text;
}

TEST_F(File, AMissingFileIsNotFoundAndNamed) {
  const auto refused = open_regular(in("nothing"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::NotFound);
  EXPECT_NE(refused.error().text.find("nothing"), std::string::npos);
}

TEST_F(File, ReplacingLeavesTheNewContentWithItsMode) {
  std::ofstream(in("a")) << "old";
  ASSERT_TRUE(replace_file(in("a"), "new", 0640));
  EXPECT_EQ(read_file(in("a"), kib(1)).value(), "new");
  struct stat status{};
  ASSERT_EQ(::stat(in("a").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0640U);
}

TEST_F(File, AReplacingThatFailsLeavesNothing) {
  ASSERT_EQ(::mkdir(in("a").c_str(), 0700), 0);
  EXPECT_FALSE(replace_file(in("a"), "new", 0640));
  EXPECT_FALSE(std::filesystem::exists(in("a.new")));
}

TEST_F(File, ReplacingDoesNotFollowASymbolicLinkToAnotherFile) {
  std::ofstream(in("victim")) << "precious";
  std::filesystem::create_symlink(in("victim"), in("a"));
  ASSERT_TRUE(replace_file(in("a"), "new", 0600));
  EXPECT_EQ(read_file(in("victim"), kib(1)).value(), "precious");
  EXPECT_FALSE(std::filesystem::is_symlink(in("a")));
}

TEST_F(File, DirectoriesAreMadeWithTheModeAskedFor) {
  ASSERT_TRUE(make_directories(in("a/b/c"), 0711));
  struct stat status{};
  ASSERT_EQ(::stat(in("a/b").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0711U);
  EXPECT_TRUE(make_directories(in("a/b/c"), 0700)) << "one that exists is left as it is";
}

TEST_F(File, AFileInTheWayOfADirectoryIsAnError) {
  std::ofstream(in("a")) << "x";
  EXPECT_FALSE(make_directories(in("a/b"), 0700));
  EXPECT_FALSE(make_directories(in("a"), 0700));
}

} // namespace
} // namespace mohhos::sys
