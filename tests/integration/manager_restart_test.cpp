// The manager is killed with -9 while plugins exchange messages: the warden starts a new one, which
// adopts them.
#include <csignal>
#include <future>

#include <gtest/gtest.h>

#include "fixture.hpp"

namespace mohhos::test {
namespace {

using ManagerRestart = WithDaemon;

TEST_F(ManagerRestart, KeepsPluginsTheirPidsAndEveryMessage) {
  ASSERT_EQ(load_and_start("counter_in").code, 0);
  ASSERT_EQ(load_and_start("counter_out").code, 0);
  ASSERT_EQ(load("plain").code, 0);
  const auto pids = [&] {
    std::string all;
    for (const char* name : {"counter_in", "counter_out", "plain"})
      all += daemon.value({"info", name}, "pid") + " " + daemon.state(name) + " ";
    return all;
  };
  const std::string before = pids();
  for (int round = 0; round < 5; ++round) {
    const pid_t manager = daemon.manager_pid();
    ASSERT_GT(manager, 0);
    ASSERT_EQ(kill(manager, SIGKILL), 0);
    ASSERT_TRUE(Daemon::eventually(
        [&] { return daemon.manager_pid() > 0 && daemon.manager_pid() != manager; }));
    EXPECT_EQ(pids(), before);
  }
  const long sent = number(call("counter_out", "sent"));
  EXPECT_TRUE(Daemon::eventually([&] { return number(call("counter_out", "sent")) > sent; }));
  const std::string last = trimmed(call("counter_out", "stop"));
  EXPECT_GT(number(last), 0);
  EXPECT_TRUE(Daemon::eventually([&] { return trimmed(call("counter_in", "?")) == last + " 0 0"; }))
      << call("counter_in", "?") << " of " << last;
  // The adopted ones obey like any other.
  EXPECT_EQ(daemon.plugctl({"start", "plain"}).code, 0);
  EXPECT_EQ(trimmed(call("plain", "ping")), "pong");
  EXPECT_EQ(daemon.plugctl({"suspend", "counter_in"}).code, 0);
  EXPECT_EQ(daemon.plugctl({"resume", "counter_in"}).code, 0);
  EXPECT_EQ(daemon.plugctl({"stop", "counter_out"}).code, 0);
  EXPECT_EQ(daemon.plugctl({"unload", "counter_out"}).code, 0);
}

TEST_F(ManagerRestart, NoticesWhatDiedMeanwhile) {
  ASSERT_EQ(load_and_start("plain").code, 0);
  const pid_t plugin = std::stoi(daemon.value({"info", "plain"}, "pid"));
  if (kill(plugin, 0) != 0) GTEST_SKIP() << "the plugin's pid is not ours to signal";
  const pid_t manager = daemon.manager_pid();
  kill(manager, SIGKILL);
  kill(plugin, SIGKILL);
  EXPECT_TRUE(daemon.wait_for_state("plain", "ERROR"));
  EXPECT_EQ(daemon.plugctl({"unload", "plain"}).code, 0);
}

// It has decided that a plugin must end, and is killed before that has happened: the warden, which
// would do it, is held up until then.
class ManagerThatEndsAPlugin : public WithDaemon {
protected:
  void kill_it_while_it_ends(const std::string& name) {
    EXPECT_EQ(daemon.plugctl({"call", name, "hang in on_stop"}).code, 0);
    ASSERT_EQ(kill(daemon.pid(), SIGSTOP), 0);
    auto stopping =
        std::async(std::launch::async, [this, name] { return daemon.plugctl({"stop", name}); });
    EXPECT_TRUE(daemon.wait_for_state(name, "ERROR"));
    EXPECT_NE(daemon.value({"info", name}, "pid"), "0");
    EXPECT_EQ(kill(daemon.manager_pid(), SIGKILL), 0);
    ASSERT_EQ(kill(daemon.pid(), SIGCONT), 0);
    EXPECT_NE(stopping.get().code, 0);
  }
};

TEST_F(ManagerThatEndsAPlugin, LeavesThatToItsSuccessor) {
  ASSERT_EQ(load_and_start("plain").code, 0);
  kill_it_while_it_ends("plain");
  EXPECT_TRUE(Daemon::eventually([&] { return daemon.value({"info", "plain"}, "pid") == "0"; }));
  EXPECT_EQ(daemon.state("plain"), "ERROR");
  const std::string cause = daemon.value({"info", "plain"}, "cause");
  EXPECT_NE(cause.find("on_stop within 1000 ms"), std::string::npos) << cause;
  EXPECT_EQ(load("plain").code, 0) << daemon.log(); // nothing of it is in the way
  EXPECT_EQ(daemon.state("plain"), "LOADED");
}

// What it was about to be, though the manager that knew died: it was to be stopped.
TEST_F(ManagerThatEndsAPlugin, LeavesItToItsSuccessorToBeginItAgain) {
  ASSERT_EQ(load_and_start("keeper").code, 0);
  ASSERT_EQ(daemon.load_and_start(daemon.sign(plugin_file("phoenix_slow")), "phoenix").code, 0);
  ASSERT_EQ(load_and_start("feeder").code, 0);
  kill_it_while_it_ends("phoenix");
  const auto info = [&](const char* field) { return daemon.value({"info", "phoenix"}, field); };
  EXPECT_TRUE(Daemon::eventually([&] {
    return info("generation") == "2" && info("state") == "LOADED" && info("restarting") == "false";
  })) << daemon.log();
  EXPECT_NE(info("cause").find("on_stop within 500 ms"), std::string::npos) << info("cause");
  // What came meanwhile waits for it.
  EXPECT_EQ(trimmed(call("feeder", "feed 0 3")), "fed");
  EXPECT_EQ(daemon.plugctl({"start", "phoenix"}).code, 0);
  EXPECT_TRUE(Daemon::eventually([&] { return trimmed(call("keeper", "?")).ends_with("0,1,2,"); }))
      << call("keeper", "?");
}

TEST_F(ManagerRestart, CountsItsRestarts) {
  EXPECT_EQ(daemon.value({"status"}, "manager_restarts"), "0");
  kill(daemon.manager_pid(), SIGKILL);
  EXPECT_TRUE(
      Daemon::eventually([&] { return daemon.value({"status"}, "manager_restarts") == "1"; }));
}

} // namespace
} // namespace mohhos::test
