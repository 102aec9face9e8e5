// A plugin with [restart] dies: it comes back, and what was sent to it with it.
#include <chrono>
#include <csignal>
#include <future>

#include <gtest/gtest.h>

#include <mohhos/abi.h>

#include "fixture.hpp"

namespace mohhos::test {
namespace {

class Restart : public WithDaemon {
protected:
  // `as`: which manifest phoenix has; the plugin's name is the same.
  void begin(const std::string& as = "phoenix") {
    ASSERT_EQ(load_and_start("keeper").code, 0) << daemon.log();
    ASSERT_EQ(daemon.load_and_start(daemon.sign(plugin_file(as)), "phoenix").code, 0);
    ASSERT_EQ(load_and_start("feeder").code, 0);
  }
  std::string info(const std::string& field, const std::string& name = "phoenix") {
    return daemon.value({"info", name}, field);
  }
  bool comes_back(const std::string& generation = "2") {
    return Daemon::eventually([&] {
      return info("generation") == generation && info("state") == "RUNNING" &&
             info("restarting") == "false";
    });
  }
  bool keeper_has(const std::string& text) {
    return Daemon::eventually([&] { return trimmed(call("keeper", "?")) == text; });
  }
  // The number of the dead letter of a message that kills it.
  std::string bury_die() {
    call("feeder", "say die");
    EXPECT_TRUE(comes_back("4")) << daemon.log();
    return json(daemon.plugctl({"-o", "json", "deadletter", "list"}).out, "letters.0.id");
  }
  static std::string numbers(int from, int to) {
    std::string text;
    for (int i = from; i < to; ++i) text += std::to_string(i) + ",";
    return text;
  }
};

TEST_F(Restart, APluginThatCrashesRunsAgainAsTheNextGeneration) {
  begin();
  const std::string id = info("id");
  const std::string pid = info("pid");
  EXPECT_NE(daemon.plugctl({"call", "phoenix", "die"}).code, 0);
  ASSERT_TRUE(comes_back()) << daemon.log();
  EXPECT_EQ(info("id"), id);
  EXPECT_NE(info("pid"), pid);
  EXPECT_EQ(info("restarts"), "1");
  EXPECT_NE(info("cause").find("SIGSEGV"), std::string::npos) << info("cause");
  EXPECT_EQ(trimmed(call("phoenix", "generation")), "2");
  // It obeys like any other.
  EXPECT_EQ(daemon.plugctl({"suspend", "phoenix"}).code, 0);
  EXPECT_EQ(daemon.plugctl({"resume", "phoenix"}).code, 0);
  EXPECT_EQ(daemon.plugctl({"stop", "phoenix"}).code, 0);
  EXPECT_EQ(daemon.plugctl({"unload", "phoenix"}).code, 0);
}

TEST_F(Restart, ACallToItEndsAtOnceWithATypedAnswer) {
  begin();
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_REFUSED(daemon.plugctl({"--timeout", "60", "call", "phoenix", "die"}), 1, "restarted");
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(30));
  ASSERT_TRUE(comes_back());
  // A plugin that waits hears it too.
  EXPECT_EQ(trimmed(call("feeder", "ask die")), "said");
  EXPECT_TRUE(Daemon::eventually([&] {
    return trimmed(call("feeder", "asked")) == std::to_string(MOHHOS_E_PEER_RESTARTED);
  })) << call("feeder", "asked");
}

TEST_F(Restart, UnreadMessagesSurviveTheReceiversCrash) {
  begin();
  call("feeder", "feed 0 50");
  call("feeder", "say die as 1");
  call("feeder", "feed 50 100");
  ASSERT_TRUE(comes_back()) << daemon.log();
  // In order, each once; the one that it died of it gets again.
  EXPECT_TRUE(keeper_has(numbers(0, 50) + "die as 1," + numbers(50, 100))) << call("keeper", "?");
}

TEST_F(Restart, WhatWasSentIsReadThoughTheSenderCrashed) {
  begin();
  EXPECT_EQ(daemon.plugctl({"suspend", "phoenix"}).code, 0);
  call("feeder", "feed 0 20");
  EXPECT_NE(daemon.plugctl({"call", "feeder", "crash"}).code, 0);
  ASSERT_TRUE(Daemon::eventually([&] { return info("generation", "feeder") == "2"; }));
  ASSERT_TRUE(daemon.wait_for_state("feeder", "RUNNING"));
  EXPECT_EQ(trimmed(call("feeder", "feed 20 40")), "fed");
  EXPECT_EQ(daemon.plugctl({"resume", "phoenix"}).code, 0);
  EXPECT_TRUE(keeper_has(numbers(0, 40))) << call("keeper", "?");
}

TEST_F(Restart, ASenderWaitsNoLongerThanItsPatienceWhileTheReceiverIsAway) {
  begin("phoenix_late");
  call("feeder", "say die");
  ASSERT_TRUE(Daemon::eventually([&] { return info("restarting") == "true"; }));
  EXPECT_GT(std::stol(call("feeder", "fill")), 0); // there is nobody, and its ring takes it
  const std::string pushed = trimmed(call("feeder", "push 300"));
  EXPECT_TRUE(pushed.starts_with(std::to_string(MOHHOS_E_TIMED_OUT) + " ")) << pushed;
  const long took = std::stol(pushed.substr(pushed.find(' ')));
  EXPECT_GE(took, 300);
  EXPECT_LT(took, 10'000);
  EXPECT_EQ(daemon.plugctl({"unload", "phoenix", "--force"}).code, 0);
}

TEST_F(Restart, IsSeenWhileItWaits) {
  begin("phoenix_late");
  EXPECT_NE(daemon.plugctl({"call", "phoenix", "die"}).code, 0);
  ASSERT_TRUE(Daemon::eventually([&] { return info("restarting") == "true"; }));
  EXPECT_EQ(info("state"), "LOADING");
  EXPECT_EQ(info("pid"), "0");
  EXPECT_NE(info("cause").find("restarting in 60000 ms (1 of at most 10 restarts in a row)"),
            std::string::npos)
      << info("cause");
  EXPECT_NE(info("cause").find("SIGSEGV"), std::string::npos) << info("cause");
  EXPECT_NE(daemon.plugctl({"list"}).out.find("restarting in"), std::string::npos);
  EXPECT_REFUSED(daemon.load(daemon.sign(plugin_file("phoenix"), "again.so")), 1, "phoenix");
  // Nobody has to wait for it.
  EXPECT_EQ(daemon.plugctl({"unload", "feeder", "--force"}).code, 0);
  EXPECT_EQ(daemon.plugctl({"unload", "phoenix"}).code, 0) << daemon.log();
  EXPECT_REFUSED(daemon.plugctl({"info", "phoenix"}), 4, "phoenix");
}

TEST_F(Restart, AStopMeanwhileLeavesItLoaded) {
  begin("phoenix_soon");
  EXPECT_NE(daemon.plugctl({"call", "phoenix", "die"}).code, 0);
  const Outcome stopped = daemon.plugctl({"stop", "phoenix"});
  EXPECT_EQ(stopped.code, 0) << stopped.err;
  EXPECT_EQ(info("state"), "LOADED");
  EXPECT_EQ(info("generation"), "2");
  EXPECT_EQ(daemon.plugctl({"start", "phoenix"}).code, 0);
  EXPECT_EQ(trimmed(call("phoenix", "ping")), "ping");
}

TEST_F(Restart, AStartMeanwhileWaitsForIt) {
  begin("phoenix_soon");
  EXPECT_NE(daemon.plugctl({"call", "phoenix", "die"}).code, 0);
  const Outcome started = daemon.plugctl({"start", "phoenix"});
  EXPECT_EQ(started.code, 0) << started.err;
  EXPECT_EQ(info("state"), "RUNNING");
}

TEST_F(Restart, ARequestMadeMeanwhileIsAnsweredByTheNextOne) {
  begin("phoenix_soon");
  EXPECT_NE(daemon.plugctl({"call", "phoenix", "die"}).code, 0);
  EXPECT_EQ(trimmed(call("phoenix", "generation")), "2");
}

TEST_F(Restart, ASuspendedOneIsSuspendedAgain) {
  begin();
  EXPECT_EQ(daemon.plugctl({"suspend", "phoenix"}).code, 0);
  if (kill(std::stoi(info("pid")), SIGKILL) != 0)
    GTEST_SKIP() << "the plugin's pid is not ours to signal";
  EXPECT_TRUE(Daemon::eventually([&] {
    return info("generation") == "2" && info("state") == "SUSPENDED";
  })) << daemon.log();
  EXPECT_EQ(daemon.plugctl({"resume", "phoenix"}).code, 0);
  EXPECT_EQ(trimmed(call("phoenix", "ping")), "ping");
}

TEST_F(Restart, EndsInErrorWhenTheRestartsAreUsedUp) {
  begin("phoenix_thrice");
  for (int i = 2; i <= 4; ++i) {
    EXPECT_NE(daemon.plugctl({"call", "phoenix", "die"}).code, 0);
    ASSERT_TRUE(comes_back(std::to_string(i))) << i;
  }
  EXPECT_NE(daemon.plugctl({"call", "phoenix", "die"}).code, 0);
  ASSERT_TRUE(daemon.wait_for_state("phoenix", "ERROR"));
  EXPECT_NE(info("cause").find("after 3 restarts in a row"), std::string::npos) << info("cause");
  EXPECT_EQ(daemon.plugctl({"unload", "phoenix"}).code, 0);
}

TEST_F(Restart, AKillFromOutsideIsToldAsOne) {
  begin();
  if (kill(std::stoi(info("pid")), SIGKILL) != 0)
    GTEST_SKIP() << "the plugin's pid is not ours to signal";
  ASSERT_TRUE(comes_back()) << daemon.log();
  EXPECT_NE(info("cause").find("SIGKILL from outside"), std::string::npos) << info("cause");
}

// on_start crashes: nothing was RUNNING before, so it is brought back to LOADED and no further.
TEST_F(Restart, ACrashInOnStartIsBroughtBackToLoaded) {
  ASSERT_EQ(load("doomed").code, 0);
  EXPECT_REFUSED(daemon.plugctl({"start", "doomed"}), 1, "doomed", "on_start");
  EXPECT_TRUE(Daemon::eventually([&] {
    return info("generation", "doomed") == "2" && info("state", "doomed") == "LOADED";
  })) << daemon.log();
}

// Also when it dies while the warden and the manager agree about it.
TEST_F(Restart, EachDeathCountsOnceWheneverItComes) {
  ASSERT_EQ(load_and_start("brief").code, 0);
  EXPECT_NE(daemon.plugctl({"call", "brief", "die"}).code, 0);
  ASSERT_TRUE(daemon.wait_for_state("brief", "ERROR", std::chrono::seconds(60))) << daemon.log();
  EXPECT_EQ(info("generation", "brief"), "61") << daemon.log();
  EXPECT_NE(info("cause", "brief").find("after 60 restarts in a row"), std::string::npos)
      << info("cause", "brief");
}

TEST_F(Restart, GoesOnWhenTheManagerIsKilledInTheMiddle) {
  begin("phoenix_soon");
  call("feeder", "feed 0 10");
  ASSERT_TRUE(keeper_has(numbers(0, 10)));
  EXPECT_NE(daemon.plugctl({"call", "phoenix", "die"}).code, 0);
  ASSERT_TRUE(Daemon::eventually([&] { return info("restarting") == "true"; }));
  call("feeder", "feed 10 20");
  ASSERT_EQ(kill(daemon.manager_pid(), SIGKILL), 0);
  ASSERT_TRUE(comes_back()) << daemon.log();
  EXPECT_EQ(info("restarts"), "1");
  EXPECT_TRUE(keeper_has(numbers(0, 20))) << call("keeper", "?");
}

TEST_F(Restart, GoesOnWhereverTheManagerIsKilled) {
  begin();
  const long rounds = 6;
  std::string expected;
  for (long i = 0; i < rounds; ++i) {
    call("feeder", "feed " + std::to_string(i) + " " + std::to_string(i + 1));
    const std::string generation = info("generation");
    const pid_t manager = daemon.manager_pid();
    expected += std::to_string(i) + ",die as " + generation + ",";
    call("feeder", "say die as " + generation);
    // From the death on, later and later: before it is noticed, while it waits, while it begins.
    for (const auto begun = std::chrono::steady_clock::now();
         std::chrono::steady_clock::now() - begun < std::chrono::milliseconds(30 * i);) {
    }
    ASSERT_EQ(kill(manager, SIGKILL), 0);
    ASSERT_TRUE(Daemon::eventually([&] {
      return info("generation") != generation && info("state") == "RUNNING" &&
             info("restarting") == "false";
    })) << i
        << daemon.log();
  }
  EXPECT_TRUE(keeper_has(expected)) << call("keeper", "?");
}

TEST_F(Restart, AMessageThatKillsAgainAndAgainIsTakenOutOfTheWay) {
  begin();
  call("feeder", "feed 0 20");
  call("feeder", "say die");
  call("feeder", "feed 20 40");
  ASSERT_TRUE(comes_back("4")) << daemon.log();
  // All others in their order and once; the one that kills came again twice, flagged.
  EXPECT_TRUE(keeper_has(numbers(0, 20) + "again,again," + numbers(20, 40))) << call("keeper", "?");
  const std::string letters = daemon.plugctl({"-o", "json", "deadletter", "list"}).out;
  EXPECT_EQ(json(letters, "letters.0.to"), "phoenix") << letters;
  EXPECT_EQ(json(letters, "letters.0.from"), "feeder");
  EXPECT_EQ(json(letters, "letters.0.deaths"), "3");
  const std::string id = json(letters, "letters.0.id");
  const Outcome shown = daemon.plugctl({"deadletter", "show", id});
  EXPECT_NE(shown.out.find("64 69 65"), std::string::npos) << shown.out;
  EXPECT_EQ(daemon.plugctl({"deadletter", "show", id, "--raw"}).out, "die");
  EXPECT_EQ(json(daemon.plugctl({"-o", "json", "deadletter", "show", id}).out, "payload_text"),
            "die");
  EXPECT_EQ(daemon.plugctl({"deadletter", "drop", id}).code, 0);
  EXPECT_REFUSED(daemon.plugctl({"deadletter", "show", id}), 4, id.c_str());
  EXPECT_REFUSED(daemon.plugctl({"deadletter", "drop", id}), 4, id.c_str());
}

TEST_F(Restart, ADeadLetterIsSentAgainToThePluginOfThatName) {
  begin();
  const std::string id = bury_die();
  EXPECT_EQ(daemon.plugctl({"unload", "phoenix", "--force"}).code, 0);
  EXPECT_REFUSED(daemon.plugctl({"deadletter", "retry", id}), 4, "phoenix");
  ASSERT_EQ(daemon.load_and_start(daemon.sign(plugin_file("phoenix_calm")), "phoenix").code, 0);
  kill(daemon.manager_pid(), SIGKILL); // the store is the next manager's too
  const Outcome retried = daemon.plugctl({"deadletter", "retry", id});
  EXPECT_EQ(retried.code, 0) << retried.err;
  EXPECT_TRUE(keeper_has("again,again,die,")) << call("keeper", "?");
  EXPECT_REFUSED(daemon.plugctl({"deadletter", "show", id}), 4, id.c_str());
}

// Its sending had been allowed once: nobody's receive_from is asked again. That holds for this one
// message to this one plugin, and opens no way for anything else.
TEST_F(Restart, ADeadLetterIsSentAgainWhateverTheReceiversAclSaysNow) {
  begin();
  const std::string id = bury_die();
  EXPECT_EQ(daemon.plugctl({"unload", "phoenix", "--force"}).code, 0);
  ASSERT_EQ(daemon.load_and_start(daemon.sign(plugin_file("phoenix_closed")), "phoenix").code, 0);
  EXPECT_REFUSED(daemon.plugctl({"send", "phoenix", "die"}), 5, "receive_from");
  const Outcome retried = daemon.plugctl({"deadletter", "retry", id});
  EXPECT_EQ(retried.code, 0) << retried.err;
  EXPECT_TRUE(keeper_has("again,again,die,")) << call("keeper", "?");
  EXPECT_REFUSED(daemon.plugctl({"send", "phoenix", "die"}), 5, "receive_from");
  EXPECT_REFUSED(daemon.plugctl({"deadletter", "retry", id}), 4, id.c_str());
}

TEST_F(Restart, ADeadLetterOfAMegabyteIsSentAgain) {
  ASSERT_EQ(load_and_start("gallery").code, 0);
  EXPECT_EQ(daemon.plugctl({"suspend", "gallery"}).code, 0);
  const std::filesystem::path file = daemon.root() / "large";
  write_text(file, "7 " + std::string(1 << 20, 'x'));
  auto sending = std::async(std::launch::async, [&] {
    return daemon.plugctl({"--timeout", "15s", "send", "gallery", "--file", file});
  });
  EXPECT_TRUE(Daemon::eventually([&] {
    return json(daemon.plugctl({"-o", "json", "channels", "--plugin", "gallery"}).out,
                "channels.0.sent") == "1";
  }));
  EXPECT_EQ(daemon.plugctl({"unload", "gallery", "--force"}).code, 0);
  EXPECT_REFUSED(sending.get(), 1, "not known");
  const std::string letters = daemon.plugctl({"-o", "json", "deadletter", "list"}).out;
  EXPECT_EQ(json(letters, "letters.0.size"), "1048578") << letters;
  ASSERT_EQ(load_and_start("gallery").code, 0);
  const Outcome retried = daemon.plugctl({"deadletter", "retry", json(letters, "letters.0.id")});
  EXPECT_EQ(retried.code, 0) << retried.err;
  EXPECT_EQ(trimmed(call("gallery", "?")), "7-,");
}

TEST_F(Restart, WhatItNeverReadIsKeptWhenItsRestartsAreUsedUp) {
  begin("phoenix_thrice");
  EXPECT_EQ(daemon.plugctl({"suspend", "phoenix"}).code, 0);
  call("feeder", "say die");
  call("feeder", "feed 0 5");
  EXPECT_EQ(daemon.plugctl({"resume", "phoenix"}).code, 0);
  ASSERT_TRUE(daemon.wait_for_state("phoenix", "ERROR"));
  const std::string letters = daemon.plugctl({"-o", "json", "deadletter", "list"}).out;
  EXPECT_EQ(json(letters, "letters.0.size"), "3") << letters; // "die"
  EXPECT_EQ(json(letters, "letters.5.size"), "1") << letters; // "4"
  EXPECT_NE(json(letters, "letters.5.reason").find("ERROR"), std::string::npos) << letters;
}

TEST_F(Restart, WhatItNeverReadIsKeptWhenItIsUnloaded) {
  begin();
  EXPECT_EQ(daemon.plugctl({"suspend", "phoenix"}).code, 0);
  call("feeder", "feed 0 3");
  EXPECT_EQ(daemon.plugctl({"unload", "phoenix", "--force"}).code, 0);
  const std::string letters = daemon.plugctl({"-o", "json", "deadletter", "list"}).out;
  EXPECT_EQ(json(letters, "letters.2.size"), "1") << letters;
  EXPECT_NE(json(letters, "letters.2.reason").find("unloaded"), std::string::npos) << letters;
}

TEST_F(Restart, WhatItNeverReadIsKeptOnceWhereverTheManagerIsKilled) {
  begin();
  const int rounds = 6;
  for (int i = 0; i < rounds; ++i) {
    EXPECT_EQ(daemon.plugctl({"suspend", "phoenix"}).code, 0);
    call("feeder", "feed 0 3");
    const pid_t manager = daemon.manager_pid();
    auto unloading = std::async(std::launch::async,
                                [&] { return daemon.plugctl({"unload", "phoenix", "--force"}); });
    // From the request on, later and later: before it is read, while it is buried, behind that.
    for (const auto begun = std::chrono::steady_clock::now();
         std::chrono::steady_clock::now() - begun < std::chrono::milliseconds(3 * i);) {
    }
    ASSERT_EQ(kill(manager, SIGKILL), 0);
    (void)unloading.get();
    ASSERT_TRUE(Daemon::eventually([&] { // the request may have died with the manager
      (void)daemon.plugctl({"unload", "phoenix", "--force"});
      return daemon.plugctl({"info", "phoenix"}).code == 4;
    })) << i
        << daemon.log();
    const std::string letters = daemon.plugctl({"-o", "json", "deadletter", "list"}).out;
    const std::string last = "letters." + std::to_string(3 * i + 2);
    EXPECT_EQ(json(letters, last + ".size"), "1") << i << letters;
    EXPECT_EQ(json(letters, "letters." + std::to_string(3 * i + 3) + ".size"), "") << i << letters;
    ASSERT_EQ(daemon.load_and_start(daemon.sign(plugin_file("phoenix")), "phoenix").code, 0);
    EXPECT_EQ(daemon.plugctl({"stop", "feeder"}).code, 0); // it opens its channel when it starts
    EXPECT_EQ(daemon.plugctl({"start", "feeder"}).code, 0);
  }
}

TEST_F(Restart, WhatItNeverReadIsKeptOnceWhereverTheManagerIsKilledBehindItsLastDeath) {
  begin("phoenix_thrice");
  const auto falls = [&] { // into ERROR, as the manager writes it down when it has come to it
    const std::string log = read_text(daemon.root() / "var/log/mohhos/audit.jsonl");
    int count = 0;
    for (std::size_t at = 0; (at = log.find(R"("to":"ERROR")", at)) != std::string::npos; ++at)
      ++count;
    return count;
  };
  const int rounds = 6;
  for (int i = 0; i < rounds; ++i) {
    EXPECT_EQ(daemon.plugctl({"suspend", "phoenix"}).code, 0);
    call("feeder", "say die");
    call("feeder", "feed 0 3");
    const pid_t manager = daemon.manager_pid();
    const int before = falls();
    EXPECT_EQ(daemon.plugctl({"resume", "phoenix"}).code, 0);
    ASSERT_TRUE(Daemon::eventually([&] { return falls() != before; })) << i << daemon.log();
    // From there on, later and later: before its rings are read, while they are, behind that.
    for (const auto begun = std::chrono::steady_clock::now();
         std::chrono::steady_clock::now() - begun < std::chrono::milliseconds(2 * i);) {
    }
    ASSERT_EQ(kill(manager, SIGKILL), 0);
    ASSERT_TRUE(Daemon::eventually([&] {
      return daemon.manager_pid() != manager && info("state") == "ERROR" && info("pid") == "0";
    })) << i
        << daemon.log();
    const std::string cause = info("cause");
    EXPECT_TRUE(cause.starts_with("it died again after 3 restarts in a row: ")) << i << cause;
    EXPECT_EQ(cause.rfind("it died again"), 0U) << i << cause;
    EXPECT_NE(cause.find("SIGSEGV"), std::string::npos) << i << cause;
    EXPECT_EQ(daemon.plugctl({"unload", "phoenix"}).code, 0) << i << daemon.log();
    const std::string letters = daemon.plugctl({"-o", "json", "deadletter", "list"}).out;
    const auto letter = [&](int n) { return "letters." + std::to_string(n) + ".size"; };
    EXPECT_EQ(json(letters, letter(4 * i)), "3") << i << letters; // "die"
    EXPECT_EQ(json(letters, letter(4 * i + 3)), "1") << i << letters;
    EXPECT_EQ(json(letters, letter(4 * i + 4)), "") << i << letters;
    ASSERT_EQ(daemon.load_and_start(daemon.sign(plugin_file("phoenix_thrice")), "phoenix").code, 0);
    EXPECT_EQ(daemon.plugctl({"stop", "feeder"}).code, 0); // it opens its channel when it starts
    EXPECT_EQ(daemon.plugctl({"start", "feeder"}).code, 0);
  }
}

TEST_F(Restart, NonsenseThatItWroteIntoItsRingsHurtsNobodyElse) {
  ASSERT_EQ(load_and_start("vandal").code, 0);
  ASSERT_EQ(load_and_start("keeper").code, 0);
  const pid_t manager = daemon.manager_pid();
  for (int i = 0; i < 8; ++i) {
    const Outcome called = daemon.plugctl({"call", "vandal", std::to_string(i)});
    EXPECT_NE(called.code, 0) << called.out;
    ASSERT_TRUE(Daemon::eventually([&] {
      return info("restarts", "vandal") == std::to_string(i + 1) &&
             info("state", "vandal") == "RUNNING";
    })) << i
        << daemon.log();
    EXPECT_EQ(trimmed(call("vandal", "ping")), "pong");
  }
  EXPECT_EQ(daemon.manager_pid(), manager);
  EXPECT_EQ(trimmed(call("keeper", "?")), "");
  EXPECT_EQ(daemon.plugctl({"unload", "vandal", "--force"}).code, 0);
}

} // namespace
} // namespace mohhos::test
