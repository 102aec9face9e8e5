// Files that are no plugin, and plugins that fail at once: one sentence, the right exit code,
// nothing left, and the daemon serves on.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "fixture.hpp"

namespace mohhos::test {
namespace {

namespace fs = std::filesystem;
using BadFile = WithDaemon;

TEST_F(BadFile, AMissingOneIsNamed) {
  EXPECT_REFUSED(daemon.plugctl({"load", "/nowhere/plugin.so"}), 1, "/nowhere/plugin.so");
  expect_serving();
}

TEST_F(BadFile, ADirectoryIsNoPlugin) {
  EXPECT_REFUSED(daemon.plugctl({"load", "/usr/lib"}), 2, "/usr/lib", "directory");
}

TEST_F(BadFile, ATextFileIsNoPlugin) {
  const fs::path file = daemon.root() / "text.so";
  write_text(file, "I am not an ELF file.\n");
  ASSERT_EQ(run({program("plugctl"), "sign", "--key", daemon.key(), file}).code, 0);
  EXPECT_REFUSED(daemon.load(file), 1, "text.so", "ELF");
}

TEST_F(BadFile, AnEmptyFileIsNoPlugin) {
  const fs::path file = daemon.root() / "empty.so";
  write_text(file, "");
  (void)run({program("plugctl"), "sign", "--key", daemon.key(), file});
  EXPECT_EQ(daemon.load(file).code == 0, false);
}

TEST_F(BadFile, ATruncatedElfIsNoPlugin) {
  const std::string whole = read_text(plugin_file("plain"));
  for (const std::size_t size : {4UL, 63UL, 64UL, 1000UL, whole.size() / 2}) {
    const fs::path file = daemon.root() / "truncated.so";
    write_text(file, std::string_view(whole).substr(0, size));
    ASSERT_EQ(run({program("plugctl"), "sign", "--key", daemon.key(), file}).code, 0);
    EXPECT_REFUSED(daemon.load(file), 1, "truncated.so");
  }
  expect_serving();
}

TEST_F(BadFile, AnotherMachinesElfIsIncompatible) {
  std::string bytes = read_text(plugin_file("plain"));
  bytes[18] = '\xB7'; // e_machine: EM_AARCH64
  const fs::path file = daemon.root() / "arm.so";
  write_text(file, bytes);
  ASSERT_EQ(run({program("plugctl"), "sign", "--key", daemon.key(), file}).code, 0);
  EXPECT_REFUSED(daemon.load(file), 9, "arm.so");
}

TEST_F(BadFile, OneOfTwoGigabytesIsTooLarge) {
  const fs::path file = daemon.root() / "huge.so";
  const int fd = open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  ASSERT_EQ(ftruncate(fd, 2L << 30), 0);
  close(fd);
  fs::copy_file(daemon.sign(plugin_file("plain")).string() + ".minisig",
                file.string() + ".minisig");
  EXPECT_REFUSED(daemon.load(file), 1, "huge.so");
  expect_serving();
}

TEST_F(BadFile, AFifoDoesNotHangTheLoad) {
  const fs::path file = daemon.root() / "fifo.so";
  ASSERT_EQ(mkfifo(file.c_str(), 0644), 0);
  const Outcome outcome = daemon.plugctl({"load", file}, std::chrono::seconds(5));
  EXPECT_REFUSED(outcome, 2, "fifo.so", "FIFO");
}

TEST_F(BadFile, APluginOfAnotherAbiIsIncompatible) {
  EXPECT_REFUSED(load("other_abi"), 9, "other_abi", "ABI version");
  expect_serving();
}

struct BadInit {
  const char* name;
  const char* says;
  int exit = 1;
};

std::ostream& operator<<(std::ostream& out, const BadInit& row) {
  return out << row.name;
}

class BadPlugin : public WithDaemon, public testing::WithParamInterface<BadInit> {};

TEST_P(BadPlugin, EndsInErrorWithOneSentence) {
  const std::string name = "init_" + std::string(GetParam().name);
  EXPECT_REFUSED(load(name), GetParam().exit, name.c_str(), GetParam().says);
  EXPECT_EQ(daemon.state(name), "ERROR");
  const std::string cause = daemon.value({"info", name}, "cause");
  EXPECT_NE(cause.find(GetParam().says), std::string::npos) << cause;
  EXPECT_EQ(daemon.value({"info", name}, "pid"), "0");
  EXPECT_EQ(daemon.plugctl({"unload", name}).code, 0);
  expect_serving();
}

INSTANTIATE_TEST_SUITE_P(WhoseInit, BadPlugin,
                         testing::Values(BadInit{"fails", "the model file is missing"},
                                         BadInit{"throws", "index 7 of 3"},
                                         BadInit{"throws-int", "exception"},
                                         BadInit{"crashes", "SIGSEGV"}, BadInit{"exits", "5"},
                                         BadInit{"hangs", "500 ms", 124}),
                         [](const auto& row) {
                           std::string name = row.param.name;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// A small file system under --root: the sentence says that it is full, and later loads work again.
TEST(FullDisk, IsSaidAndSurvived) {
  if (!am_root()) GTEST_SKIP() << "needs root to mount a small tmpfs";
  TemporaryDirectory directory;
  ASSERT_EQ(mount("none", directory.path().c_str(), "tmpfs", 0, "size=4m"), 0);
  {
    DaemonOptions options;
    options.root = directory.path();
    Daemon daemon(options);
    const fs::path good = daemon.sign(plugin_file("plain"));
    const fs::path filler = directory.path() / "filler";
    const int fd = open(filler.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    std::string block(4096, 'x');
    while (write(fd, block.data(), block.size()) > 0) {
    }
    close(fd);
    // Loading needs no disk of ours, or says that it is full; it never half succeeds.
    const Outcome full = daemon.load(good);
    if (full.code != 0) {
      EXPECT_REFUSED(full, 1, "No space left");
    }
    // A tool that has to write says so and leaves no half file.
    const fs::path unsigned_file = directory.path() / "x.so";
    fs::create_symlink(plugin_file("plain"), unsigned_file);
    EXPECT_NE(run({program("plugctl"), "sign", "--key", daemon.key(), unsigned_file}).code, 0);
    EXPECT_FALSE(fs::exists(unsigned_file.string() + ".minisig"));
    EXPECT_EQ(daemon.plugctl({"status"}).code, 0);
    fs::remove(filler);
    if (full.code == 0) {
      EXPECT_EQ(daemon.plugctl({"unload", "plain"}).code, 0);
    }
    EXPECT_EQ(daemon.load(good).code, 0);
    // The test's own mount is under the root and is not the daemon's.
    const std::string left = daemon.stop();
    EXPECT_EQ(left.find("process"), std::string::npos) << left;
    EXPECT_EQ(left.find("cgroup"), std::string::npos) << left;
  }
  EXPECT_EQ(umount2(directory.path().c_str(), 0), 0);
}

} // namespace
} // namespace mohhos::test
