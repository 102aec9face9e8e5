// The daemon itself: its socket, its lock, its end.
#include <csignal>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "fixture.hpp"

namespace mohhos::test {
namespace {

using DaemonProcess = WithDaemon;

TEST_F(DaemonProcess, SaysItsVersionAndChecksItsConfiguration) {
  const Outcome version = run({program("mohhosd"), "--version"});
  EXPECT_EQ(version.code, 0);
  EXPECT_NE(version.out.find("0.1"), std::string::npos) << version.out;
  TemporaryDirectory directory;
  EXPECT_EQ(run({program("mohhosd"), "--root", directory.path(), "--check-config"}).code, 0);
  std::filesystem::create_directories(directory.path() / "etc/mohhos");
  write_text(directory.path() / "etc/mohhos/mohhosd.toml", "no_such_key = 1\n");
  const Outcome wrong = run({program("mohhosd"), "--root", directory.path(), "--check-config"});
  EXPECT_NE(wrong.code, 0);
  EXPECT_NE((wrong.out + wrong.err).find("no_such_key"), std::string::npos) << wrong.err;
}

TEST_F(DaemonProcess, ASecondOneOnTheSameRootIsRefused) {
  const Outcome second = run({program("mohhosd"), "--root", daemon.root()});
  EXPECT_EQ(second.code, 1);
  EXPECT_EQ(std::count(second.err.begin(), second.err.end(), '\n'), 1) << second.err;
  EXPECT_NE(second.err.find(daemon.root().string()), std::string::npos) << second.err;
  expect_serving();
}

TEST_F(DaemonProcess, StatusSaysWhatIsInForce) {
  const std::string status = daemon.plugctl({"-o", "json", "status"}).out;
  EXPECT_EQ(json(status, "warden_pid"), std::to_string(daemon.pid())) << status;
  EXPECT_GT(number(json(status, "manager_pid")), 0);
  EXPECT_NE(json(status, "best_level"), "");
  EXPECT_NE(json(status, "mode"), "");
}

TEST_F(DaemonProcess, KeepsItsManagerOutOfReachOfCtrlC) {
  EXPECT_NE(::getpgid(daemon.manager_pid()), ::getpgid(daemon.pid()));
}

TEST_F(DaemonProcess, UnloadsAllWhenItEnds) {
  ASSERT_EQ(load_and_start("plain").code, 0);
  ASSERT_EQ(load_and_start("counter_in").code, 0);
  ASSERT_EQ(daemon.plugctl({"suspend", "counter_in"}).code, 0);
  // TearDown stops it and looks for what is left: a running, and a frozen plugin.
}

// What the manager tells it meanwhile has to wait, and descriptors with it. Who asks for more than
// there are is refused; the plugins keep their manager, and it goes on where it was.
class DaemonThatIsHeldUp : public testing::Test {
protected:
  void TearDown() override { EXPECT_EQ(daemon.stop(), ""); }
  void load(const std::string& name) {
    ASSERT_EQ(daemon.load(daemon.sign(plugin_file(name))).code, 0) << daemon.log();
  }
  // To the control socket.
  int connection() {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    daemon.socket().string().copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  void hold_up() {
    int spare[] = {connection(), connection(), connection()};
    std::size_t left = std::size(spare);
    ASSERT_EQ(kill(daemon.pid(), SIGSTOP), 0);
    Outcome called;
    for (int calls = 0; calls < 1000; ++calls) { // each opens an endpoint and a channel
      called = daemon.plugctl({"-o", "json", "call", "plain", "ping"});
      if (called.code == 0) continue;
      // The last descriptor may have gone to a connection that found none for anything else.
      if (json(called.out, "error.code") != "unreachable" || left == 0) break;
      ::close(spare[--left]);
    }
    while (left != 0) ::close(spare[--left]);
    const std::string code = json(called.out, "error.code");
    ASSERT_TRUE(code == "exhausted" || code == "unreachable") << called.out << called.err;
  }
  void let_go() { ASSERT_EQ(kill(daemon.pid(), SIGCONT), 0); }
  bool answers(const std::string& name) {
    return Daemon::eventually(
        [&] { return trimmed(daemon.plugctl({"call", name, "ping"}).out) == "pong"; });
  }

  static DaemonOptions few_descriptors() {
    DaemonOptions options;
    options.prefix = {"prlimit", "--nofile=128", "--"};
    return options;
  }

private:
  // One after the other: the kernel counts what is on the way by user, so that two at once would
  // starve each other before they begin.
  struct Alone {
    Alone() : fd(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC)) {
      EXPECT_EQ(::flock(fd, LOCK_EX), 0);
    }
    ~Alone() { ::close(fd); }
    Alone(const Alone&) = delete;
    Alone& operator=(const Alone&) = delete;
    int fd;
  };
  Alone alone_;

protected:
  Daemon daemon{few_descriptors()};
};

TEST_F(DaemonThatIsHeldUp, TakesNoManagerFromThePlugins) {
  load("plain");
  ASSERT_EQ(daemon.plugctl({"start", "plain"}).code, 0);
  const pid_t manager = daemon.manager_pid();
  hold_up();
  EXPECT_EQ(daemon.plugctl({"stop", "plain"}).code, 0);
  let_go();
  EXPECT_TRUE(Daemon::eventually([&] { return daemon.plugctl({"start", "plain"}).code == 0; }));
  EXPECT_TRUE(answers("plain")) << daemon.log();
  EXPECT_EQ(daemon.manager_pid(), manager);
  EXPECT_EQ(daemon.value({"status"}, "manager_restarts"), "0");
  // Its records have what came meanwhile: a successor takes it over.
  ASSERT_EQ(kill(manager, SIGKILL), 0);
  EXPECT_TRUE(answers("plain")) << daemon.log();
}

TEST(DaemonStart, ReplacesAStaleSocket) {
  TemporaryDirectory directory;
  std::filesystem::create_directories(directory.path() / "run/mohhos");
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = directory.path() / "run/mohhos/control.sock";
  ASSERT_LT(path.size(), sizeof address.sun_path);
  path.copy(address.sun_path, path.size());
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  close(fd); // nobody will ever answer there
  DaemonOptions options;
  options.root = directory.path();
  Daemon daemon(options);
  EXPECT_EQ(daemon.plugctl({"status"}).code, 0);
  EXPECT_EQ(daemon.stop(), "");
}

TEST(DaemonStart, LeavesAFileThatIsNoSocketAlone) {
  TemporaryDirectory directory;
  std::filesystem::create_directories(directory.path() / "run/mohhos");
  write_text(directory.path() / "run/mohhos/control.sock", "precious\n");
  const Outcome outcome = run({program("mohhosd"), "--root", directory.path()});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("control.sock"), std::string::npos) << outcome.err;
  EXPECT_EQ(read_text(directory.path() / "run/mohhos/control.sock"), "precious\n");
}

// kill -9 of the warden: its plugins die with it, and the next start sweeps what it left.
TEST(DaemonStart, SweepsWhatAKilledOneLeft) {
  TemporaryDirectory directory;
  DaemonOptions options;
  options.root = directory.path();
  {
    Daemon killed(options);
    ASSERT_EQ(killed.load_and_start(killed.sign(plugin_file("plain")), "plain").code, 0);
    killed.kill_hard();
  }
  options.trust_a_key = false;
  Daemon daemon(options);
  EXPECT_EQ(daemon.plugctl({"status"}).code, 0);
  EXPECT_EQ(daemon.stop(), "");
}

TEST(DaemonAbsent, PlugctlSaysThatNobodyAnswers) {
  TemporaryDirectory directory;
  const std::string socket = directory.path() / "control.sock";
  const Outcome outcome = run({program("plugctl"), "list"}, {{"MOHHOS_SOCKET", socket}});
  EXPECT_REFUSED(outcome, 69, socket.c_str());
}

TEST(Usage, MistakesAreUsageErrors) {
  EXPECT_EQ(run({program("plugctl"), "frobnicate"}).code, 2);
  EXPECT_EQ(run({program("plugctl"), "load"}).code, 2);
  EXPECT_EQ(run({program("plugctl"), "-o", "xml", "list"}).code, 2);
  EXPECT_EQ(run({program("plugctl"), "--help"}).code, 0);
  EXPECT_EQ(run({program("plugctl"), "--version"}).code, 0);
}

TEST(Usage, AMistakeIsNamedAlsoInJson) {
  const Outcome outcome = run({program("plugctl"), "-o", "json", "frobnicate"});
  EXPECT_REFUSED(outcome, 2, "no command 'frobnicate'");
  EXPECT_TRUE(outcome.out.starts_with(R"({"schema":1,"error":{"code":"invalid","exit":2)"))
      << outcome.out;
}

TEST(Output, ThatFindsNoRoomIsAFailure) {
  const Outcome outcome =
      run({"/bin/sh", "-c", program("plugctl").native() + " version > /dev/full"});
  EXPECT_REFUSED(outcome, 1, "No space left on device");
}

} // namespace
} // namespace mohhos::test
