// US-004's eight operations, and what happens when a plugin ends by itself.
#include <cerrno>
#include <csignal>
#include <iterator>
#include <sstream>
#include <vector>

#include <gtest/gtest.h>

#include <mohhos/abi.h>

#include "fixture.hpp"

namespace mohhos::test {
namespace {

using Lifecycle = WithDaemon;
using Dependencies = WithDaemon;
using Grants = WithDaemon;

TEST_F(Lifecycle, APluginGoesThroughAllItsStates) {
  ASSERT_EQ(load("plain").code, 0) << daemon.log();
  EXPECT_EQ(daemon.state("plain"), "LOADED");
  EXPECT_EQ(daemon.plugctl({"start", "plain"}).code, 0);
  EXPECT_EQ(daemon.state("plain"), "RUNNING");
  EXPECT_EQ(trimmed(call("plain", "ping")), "pong");
  EXPECT_EQ(daemon.plugctl({"suspend", "plain"}).code, 0);
  EXPECT_EQ(daemon.state("plain"), "SUSPENDED");
  EXPECT_EQ(daemon.plugctl({"resume", "plain"}).code, 0);
  EXPECT_EQ(trimmed(call("plain", "ping")), "pong");
  EXPECT_EQ(daemon.plugctl({"stop", "plain"}).code, 0);
  EXPECT_EQ(daemon.state("plain"), "LOADED");
  EXPECT_EQ(daemon.plugctl({"start", "plain"}).code, 0);
  EXPECT_EQ(trimmed(call("plain", "ping")), "pong");
  EXPECT_EQ(daemon.plugctl({"stop", "plain"}).code, 0);
  EXPECT_EQ(daemon.plugctl({"unload", "plain"}).code, 0);
  EXPECT_REFUSED(daemon.plugctl({"info", "plain"}), 4, "plain");
}

TEST_F(Lifecycle, InfoHasEveryDocumentedField) {
  ASSERT_EQ(load_and_start("plain").code, 0);
  const std::string info = daemon.plugctl({"-o", "json", "info", "plain"}).out;
  for (const char* field : {"name", "version", "type", "state", "pid", "generation", "signer",
                            "trust_level", "sandbox_level", "capabilities", "limits", "load_us",
                            "start_us", "memory_bytes", "cpu_percent", "cause"}) {
    EXPECT_NE(info.find('"' + std::string(field) + '"'), std::string::npos) << field << "\n"
                                                                            << info;
  }
  EXPECT_EQ(json(info, "name"), "plain");
  EXPECT_EQ(json(info, "version"), "1.2.0");
  EXPECT_EQ(json(info, "type"), "custom");
  EXPECT_GT(std::stol(json(info, "load_us")), 0);
  EXPECT_GT(std::stol(json(info, "memory_bytes")), 0);
  const pid_t pid = std::stoi(json(info, "pid"));
  EXPECT_TRUE(kill(pid, 0) == 0 || errno == EPERM) << "no such process: " << pid;
}

TEST_F(Lifecycle, ListShowsWhatIsLoaded) {
  ASSERT_EQ(load("counter_in").code, 0);
  ASSERT_EQ(load_and_start("plain").code, 0);
  const std::string table = daemon.plugctl({"list"}).out;
  EXPECT_NE(table.find("plain"), std::string::npos);
  EXPECT_NE(table.find("LOADED"), std::string::npos);
  EXPECT_NE(table.find("RUNNING"), std::string::npos);
}

TEST_F(Lifecycle, ASecondLoadOfTheSameNameIsRefused) {
  ASSERT_EQ(load("plain").code, 0);
  EXPECT_REFUSED(load("plain"), 1, "plain");
  EXPECT_EQ(daemon.state("plain"), "LOADED");
}

TEST_F(Lifecycle, UnloadOfARunningPluginSaysWhatToDo) {
  ASSERT_EQ(load_and_start("plain").code, 0);
  EXPECT_REFUSED(daemon.plugctl({"unload", "plain"}), 1, "plain", "RUNNING", "stop");
  EXPECT_EQ(trimmed(call("plain", "ping")), "pong");
}

TEST_F(Lifecycle, OperationsThatTheStateForbidsNameTheState) {
  ASSERT_EQ(load("plain").code, 0);
  EXPECT_REFUSED(daemon.plugctl({"stop", "plain"}), 3, "LOADED");
  EXPECT_REFUSED(daemon.plugctl({"suspend", "plain"}), 3, "LOADED");
  EXPECT_REFUSED(daemon.plugctl({"resume", "plain"}), 1, "LOADED");
  EXPECT_REFUSED(daemon.plugctl({"call", "plain", "ping"}), 3, "plain");
}

TEST_F(Lifecycle, AnUnknownPluginIsNoSuchPlugin) {
  for (const char* verb : {"info", "start", "stop", "suspend", "resume", "unload", "why"}) {
    EXPECT_REFUSED(daemon.plugctl({verb, "nobody"}), 4, "nobody");
    EXPECT_REFUSED(daemon.plugctl({verb, "4711"}), 4, "4711");
  }
}

struct Ending {
  const char* request;
  const char* cause;
};

std::ostream& operator<<(std::ostream& out, const Ending& ending) {
  return out << ending.request;
}

class LifecycleCrash : public WithDaemon, public testing::WithParamInterface<Ending> {};

TEST_P(LifecycleCrash, EndsInErrorWithItsCauseAndCanBeReplaced) {
  ASSERT_EQ(load_and_start("plain").code, 0);
  const std::string pid = daemon.value({"info", "plain"}, "pid");
  EXPECT_NE(daemon.plugctl({"call", "plain", GetParam().request, "--timeout", "1s"}).code, 0);
  ASSERT_TRUE(daemon.wait_for_state("plain", "ERROR"));
  const std::string cause = daemon.value({"info", "plain"}, "cause");
  EXPECT_NE(cause.find(GetParam().cause), std::string::npos) << cause;
  EXPECT_EQ(daemon.value({"info", "plain"}, "pid"), "0");
  EXPECT_FALSE(std::filesystem::exists("/proc/" + pid));
  // A load of the same name takes the place of the one in ERROR.
  EXPECT_EQ(load_and_start("plain").code, 0);
  EXPECT_EQ(trimmed(call("plain", "ping")), "pong");
}

INSTANTIATE_TEST_SUITE_P(By, LifecycleCrash,
                         testing::Values(Ending{"crash", "SIGSEGV"}, Ending{"abort", "abort"},
                                         Ending{"exit", "3"}, Ending{"throw", "thrown on request"},
                                         Ending{"throw on a thread", "thrown on a thread"}),
                         [](const auto& ending) {
                           std::string name = ending.param.request;
                           std::replace(name.begin(), name.end(), ' ', '_');
                           return name;
                         });

TEST_F(Lifecycle, WhatAPluginPrintsIsInItsLog) {
  ASSERT_EQ(load_and_start("plain").code, 0);
  (void)call("plain", "stdout");
  EXPECT_TRUE(Daemon::eventually([&] {
    const std::string log = daemon.plugctl({"logs", "plain"}).out;
    return log.find("a line on stdout") != std::string::npos &&
           log.find("a line on stderr") != std::string::npos;
  }));
}

TEST_F(Lifecycle, ARequestThatNobodyAnswersTimesOut) {
  ASSERT_EQ(load_and_start("plain").code, 0);
  const Outcome outcome = daemon.plugctl({"call", "plain", "nothing", "--timeout", "1s"});
  EXPECT_REFUSED(outcome, 124, "plain");
}

TEST_F(Lifecycle, AHungPluginCanBeUnloadedByForce) {
  ASSERT_EQ(load_and_start("plain").code, 0);
  EXPECT_EQ(daemon.plugctl({"call", "plain", "hang", "--timeout", "1s"}).code, 124);
  EXPECT_EQ(daemon.plugctl({"unload", "--force", "plain"}).code, 0);
  EXPECT_EQ(daemon.plugctl({"info", "plain"}).code, 4);
}

// CPU time of the plugin's process, in clock ticks.
long cpu_ticks(const std::string& pid) {
  std::istringstream fields(read_text("/proc/" + pid + "/stat"));
  std::vector<std::string> all(std::istream_iterator<std::string>(fields), {});
  return all.size() > 14 ? number(all[13]) + number(all[14]) : -1;
}

class LifecycleIdle : public WithDaemon, public testing::WithParamInterface<const char*> {};

// While the daemon answers a hundred questions, a plugin with nothing to do does nothing: in C
// without a single callback, and in C++.
TEST_P(LifecycleIdle, UsesNoCpu) {
  ASSERT_EQ(load_and_start(GetParam()).code, 0);
  const std::string pid = daemon.value({"info", GetParam()}, "pid");
  const long before = cpu_ticks(pid);
  const auto begin = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - begin < std::chrono::seconds(1))
    (void)daemon.plugctl({"status"});
  EXPECT_LE(cpu_ticks(pid) - before, 5);
}

INSTANTIATE_TEST_SUITE_P(Plugin, LifecycleIdle, testing::Values("idle", "plain"),
                         [](const auto& name) { return std::string(name.param); });

TEST_F(Lifecycle, ConfigurationReachesThePlugin) {
  daemon.grant("plain", "[config]\ncolour = \"green\"\n");
  ASSERT_EQ(load_and_start("plain").code, 0);
  EXPECT_EQ(trimmed(call("plain", "config colour")), "green");
}

TEST_F(Lifecycle, MessagesWaitWhileThePluginIsSuspended) {
  ASSERT_EQ(load_and_start("counter_in").code, 0);
  ASSERT_EQ(load_and_start("counter_out").code, 0);
  ASSERT_TRUE(Daemon::eventually([&] { return number(call("counter_in", "?")) > 1000; }));
  ASSERT_EQ(daemon.plugctl({"suspend", "counter_in"}).code, 0);
  EXPECT_EQ(daemon.state("counter_in"), "SUSPENDED");
  const long sent = number(call("counter_out", "sent"));
  ASSERT_EQ(daemon.plugctl({"resume", "counter_in"}).code, 0);
  ASSERT_TRUE(
      Daemon::eventually([&] { return number(call("counter_out", "sent")) > sent + 1000; }));
  const std::string last = trimmed(call("counter_out", "stop"));
  EXPECT_TRUE(Daemon::eventually([&] { return trimmed(call("counter_in", "?")) == last + " 0 0"; }))
      << call("counter_in", "?") << " of " << last;
}

TEST_F(Dependencies, AMissingOneIsNamedOnBothSides) {
  EXPECT_REFUSED(load("needs_absent"), 8, "needs_absent", "absent");
}

TEST_F(Dependencies, AVersionOutOfRangeIsNamedOnBothSides) {
  ASSERT_EQ(load("plain").code, 0);
  EXPECT_REFUSED(load("needs_newer"), 8, "needs_newer", "plain", "1.2.0", "2.0");
}

TEST_F(Dependencies, SatisfiedAndOptionalOnesLoad) {
  EXPECT_EQ(load("needs_maybe").code, 0);
  ASSERT_EQ(load("plain").code, 0);
  EXPECT_EQ(load("needs_plain").code, 0);
}

TEST_F(Dependencies, APluginThatOthersNeedStaysUntilForced) {
  ASSERT_EQ(load("plain").code, 0);
  ASSERT_EQ(load("needs_plain").code, 0);
  EXPECT_REFUSED(daemon.plugctl({"unload", "plain"}), 1, "plain", "needs_plain", "--force");
  EXPECT_EQ(daemon.plugctl({"unload", "--force", "plain"}).code, 0);
}

TEST_F(Grants, ACapabilityThatNobodyGrantedSaysWhatToWriteWhere) {
  const Outcome refused = load("wants_files");
  EXPECT_EQ(refused.code, 10);
  for (const char* word : {"can_access_filesystem = true", "grants.d/wants_files.toml",
                           "/usr/share/common-licenses", "plugctl grant wants_files"})
    EXPECT_NE(refused.err.find(word), std::string::npos) << refused.err;
  daemon.grant("wants_files", "can_access_filesystem = true\nread = [\"/usr/share\"]\n");
  EXPECT_EQ(load("wants_files").code, 0);
}

TEST_F(Grants, ACapabilityThatThisVersionLacksIsRefusedAsSuch) {
  daemon.trust_key("system");
  daemon.grant("wants_network", "can_access_network = true\n");
  EXPECT_REFUSED(load("wants_network"), 10, "can_access_network");
}

// SIGHUP after the operator's files were changed. What the broker asks for goes and comes at once;
// what walls let through stays until the next load, and the log says so.
TEST_F(Grants, ARightThatIsTakenBackIsGoneAlsoWhileThePluginRuns) {
  const std::string all = "can_access_ai_engine = true\ncan_access_filesystem = true\n"
                          "custom_capabilities = 2\n";
  daemon.grant("pilgrim", all);
  ASSERT_EQ(load_and_start("oracle").code, 0);
  ASSERT_EQ(load_and_start("pilgrim").code, 0) << daemon.log();
  const std::string pid = daemon.value({"info", "pilgrim"}, "pid");
  const auto has = [&](const char* capability) {
    return daemon.value({"caps", "pilgrim", capability}, "granted") == "true";
  };
  const auto channels = [&] {
    const std::string open = daemon.plugctl({"-o", "json", "channels", "--plugin", "oracle"}).out;
    return open.find("\"pilgrim\"") == std::string::npos ? "none" : "open";
  };
  const auto reload = [&] { ASSERT_EQ(kill(daemon.pid(), SIGHUP), 0); };
  EXPECT_EQ(trimmed(call("pilgrim", "hello")), "hello");
  EXPECT_STREQ(channels(), "open");

  reload(); // nothing has changed
  EXPECT_EQ(trimmed(call("pilgrim", "hello")), "hello");

  daemon.grant("pilgrim", "");
  reload();
  ASSERT_TRUE(Daemon::eventually([&] { return !has("can_access_ai_engine"); })) << daemon.log();
  EXPECT_STREQ(channels(), "none"); // and the one that was open has ended
  const std::string denied = std::to_string(MOHHOS_E_DENIED) + " ";
  EXPECT_TRUE(call("pilgrim", "hello").starts_with(denied)) << call("pilgrim", "hello");
  EXPECT_FALSE(has("custom:1"));
  EXPECT_TRUE(has("can_access_filesystem"));
  EXPECT_NE(daemon.log().find("pilgrim keeps can_access_filesystem until it is loaded again"),
            std::string::npos)
      << daemon.log();

  const pid_t manager = daemon.manager_pid(); // its successor knows no better
  ASSERT_EQ(kill(manager, SIGKILL), 0);
  ASSERT_TRUE(Daemon::eventually(
      [&] { return daemon.manager_pid() > 0 && daemon.manager_pid() != manager; }));
  EXPECT_TRUE(call("pilgrim", "hello").starts_with(denied)) << call("pilgrim", "hello");

  daemon.grant("pilgrim", all);
  reload();
  EXPECT_TRUE(Daemon::eventually([&] { return trimmed(call("pilgrim", "hello")) == "hello"; }));
  EXPECT_TRUE(has("custom:1"));
  daemon.trust_key("none"); // a key that is trusted no more gives nothing
  reload();
  EXPECT_TRUE(Daemon::eventually([&] { return !has("can_access_ai_engine"); })) << daemon.log();

  // What cannot be read changes nothing.
  daemon.trust_key("verified");
  reload();
  ASSERT_TRUE(Daemon::eventually([&] { return has("can_access_ai_engine"); }));
  daemon.grant("pilgrim", "no_such_key = 1\n");
  reload();
  EXPECT_TRUE(Daemon::eventually([&] {
    return daemon.log().find("the rights of pilgrim stay as they are") != std::string::npos;
  }));
  EXPECT_EQ(trimmed(call("pilgrim", "hello")), "hello");
  EXPECT_EQ(daemon.value({"info", "pilgrim"}, "pid"), pid);
}

} // namespace
} // namespace mohhos::test
