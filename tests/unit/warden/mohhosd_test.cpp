// mohhosd itself with a manager of ours beside it: what the warden does with managers that die,
// speak wrongly, do not start or do not listen.
#include <array>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../harness/temporary_directory.hpp"
#include "sys/fd.hpp"

namespace mohhos::warden {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

class Mohhosd : public ::testing::Test {
protected:
  void SetUp() override {
    ASSERT_EQ(::chmod(home_.c_str(), 0755), 0);
    fs::create_directories(root() / "etc/mohhos");
    // It looks for its siblings beside itself.
    fs::copy_file(MOHHOSD_PROGRAM, home_ / "mohhosd");
    fs::copy_file(FAKE_MANAGER_PROGRAM, home_ / "mohhos-manager");
    fs::copy_file("/bin/true", home_ / "mohhos-plugin-host");
  }
  void TearDown() override {
    if (pid_ > 0) { // two signals: it cleans up, and waits for nobody
      ::kill(pid_, SIGTERM);
      ::kill(pid_, SIGINT);
      ::waitpid(pid_, nullptr, 0);
    }
  }
  [[nodiscard]] fs::path root() const { return home_ / "root"; }

  void start(const std::string& behaviour, const char* option = nullptr) {
    std::ofstream(root() / "etc/mohhos/behaviour") << behaviour;
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    output_ = sys::Fd(ends[0]);
    const sys::Fd theirs(ends[1]);
    const std::string program = home_ / "mohhosd";
    const std::string place = root();
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(theirs.get(), STDERR_FILENO);
      ::execl(program.c_str(), "mohhosd", "--root", place.c_str(), option, nullptr);
      ::_exit(127);
    }
  }
  // Reads until a line contains the text; false: it ended, or ten seconds passed.
  bool hears(const std::string& text) {
    const auto deadline = Clock::now() + std::chrono::seconds(10);
    for (;;) {
      if (const auto at = heard_.find(text, from_); at != std::string::npos) {
        from_ = at + text.size();
        return true;
      }
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
      pollfd ready{output_.get(), POLLIN, 0};
      if (left <= 0 || ::poll(&ready, 1, static_cast<int>(left)) != 1) return false;
      std::array<char, 4096> chunk;
      const ssize_t got = ::read(output_.get(), chunk.data(), chunk.size());
      if (got <= 0) return false;
      heard_.append(chunk.data(), static_cast<std::size_t>(got));
    }
  }
  int end_status() {
    int status = 0;
    EXPECT_EQ(::waitpid(pid_, &status, 0), pid_);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  // Where the machine allows no user namespaces there is nothing to test.
  bool skips() {
    if (hears("hello 0")) return false;
    return heard_.find("user namespace") != std::string::npos ||
           heard_.find("CAP_SYS_ADMIN") != std::string::npos;
  }
  void expect_nothing_left() {
    for (const char* name : {"control.sock", "mohhosd.lock", "images"})
      EXPECT_FALSE(fs::exists(root() / "run/mohhos" / name)) << name;
  }

  test::TemporaryDirectory scratch_;
  const fs::path& home_ = scratch_.path();
  pid_t pid_ = -1;
  sys::Fd output_;
  std::string heard_;
  std::size_t from_ = 0;
};

#define START_OR_SKIP(behaviour)                                                                   \
  start(behaviour);                                                                                \
  if (skips()) GTEST_SKIP() << heard_

TEST_F(Mohhosd, HandsAllThatWasKeptToTheNextManagerEvenItsLastWords) {
  START_OR_SKIP("keep");
  EXPECT_TRUE(hears("hello 1"));
  EXPECT_TRUE(hears("kept 0 1\nkept 5 1\nkept 5 4\nhello-end")) << heard_;
  EXPECT_TRUE(hears("ready at"));
  ::kill(pid_, SIGTERM);
  EXPECT_TRUE(hears("shutdown"));
  EXPECT_EQ(end_status(), 0);
  expect_nothing_left();
}

TEST_F(Mohhosd, KillsAManagerThatSpeaksWronglyAndStartsAnother) {
  START_OR_SKIP("junk");
  EXPECT_TRUE(hears("killing the manager: it sent: a message of 4 bytes")) << heard_;
  EXPECT_TRUE(hears("hello 1"));
  EXPECT_TRUE(hears("ready at"));
}

TEST_F(Mohhosd, EndsWithTheStatusOfAManagerThatDoesNotStart) {
  START_OR_SKIP("refuse");
  EXPECT_FALSE(hears("a new one takes over")) << heard_;
  EXPECT_EQ(end_status(), 3);
  expect_nothing_left();
}

TEST_F(Mohhosd, PassesTheStatusOfCheckConfigOn) {
  for (const auto& [behaviour, status] : {std::pair{"fine", 0}, std::pair{"refuse", 3}}) {
    start(behaviour, "--check-config");
    EXPECT_EQ(end_status(), status) << behaviour;
  }
  EXPECT_FALSE(fs::exists(root() / "run")) << "it starts nothing";
}

TEST_F(Mohhosd, LaunchesNothingThatIsNotSealedAndSigned) {
  START_OR_SKIP("launch");
  EXPECT_TRUE(hears("launch-failed ")) << heard_;
  ::kill(pid_, SIGTERM);
  EXPECT_EQ(end_status(), 0);
}

TEST_F(Mohhosd, ASecondOneOnTheSameRootIsRefusedAndTheFirstServesOn) {
  START_OR_SKIP("fine");
  ASSERT_TRUE(hears("ready at"));
  const pid_t first = pid_;
  const sys::Fd output = std::move(output_);
  start("fine");
  EXPECT_TRUE(hears("another mohhosd runs at")) << heard_;
  EXPECT_EQ(end_status(), 1);
  pid_ = first;
  EXPECT_TRUE(fs::is_socket(root() / "run/mohhos/control.sock"));
}

TEST_F(Mohhosd, PassesAHangupOnAndWaitsForNobodyAfterTheSecondSignal) {
  START_OR_SKIP("deaf");
  ASSERT_TRUE(hears("ready at"));
  ::kill(pid_, SIGHUP);
  EXPECT_TRUE(hears("reload"));
  ::kill(pid_, SIGTERM);
  EXPECT_TRUE(hears("shutdown"));
  ::kill(pid_, SIGTERM);
  EXPECT_EQ(end_status(), 0);
  expect_nothing_left();
}

} // namespace
} // namespace mohhos::warden
