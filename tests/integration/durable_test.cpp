// Messages that are on disk: everything is killed with -9, so that no memory holds them any more,
// and a new daemon on the same root has them.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <functional>
#include <optional>
#include <sstream>
#include <thread>

#include <gtest/gtest.h>

#include <mohhos/abi.h>

#include "fixture.hpp"

namespace mohhos::test {
namespace {

class Durable : public testing::Test {
protected:
  Durable() { begin(true); }
  void TearDown() override {
    if (daemon) {
      EXPECT_EQ(daemon->stop(), "");
    }
  }
  void begin(bool new_key) {
    DaemonOptions options;
    options.root = directory.path() / "root";
    options.trust_a_key = new_key;
    daemon.emplace(options);
  }
  // Nothing of what was in memory is left.
  void lose_power() {
    daemon->kill_hard();
    daemon.reset();
    begin(false);
  }
  Outcome load(const std::string& name) {
    return daemon->load(daemon->sign(plugin_file(name), name + ".so"));
  }
  Outcome load_and_start(const std::string& name) {
    return daemon->load_and_start(daemon->sign(plugin_file(name), name + ".so"), name);
  }
  void kill_manager() {
    const pid_t manager = daemon->manager_pid();
    ASSERT_EQ(kill(manager, SIGKILL), 0);
    ASSERT_TRUE(Daemon::eventually(
        [&] { return daemon->manager_pid() > 0 && daemon->manager_pid() != manager; }));
  }
  [[nodiscard]] Outcome run_program(const std::string& what) const {
    return run({DURABLE_C_TESTS, daemon->value({"info", "vault"}, "id"), what,
                std::to_string(daemon->manager_pid())},
               {{"MOHHOS_SOCKET", daemon->socket()}});
  }
  std::string call(const std::string& name, const std::string& text) {
    return trimmed(daemon->plugctl({"call", name, text}).out);
  }
  // What vault has got, once it is that, or whatever it is instead.
  std::string vault_has(const std::string& text) {
    std::string has;
    (void)Daemon::eventually([&] { return (has = call("vault", "?")) == text; });
    return has;
  }
  // The numbers, all of which must be flagged.
  static std::vector<int> flagged(const std::string& text) {
    std::vector<int> numbers;
    std::istringstream words(text);
    for (std::string one; std::getline(words, one, ',');) {
      EXPECT_TRUE(one.ends_with('r')) << one;
      numbers.push_back(std::stoi(one));
    }
    return numbers;
  }
  static std::string numbers(int from, int to, const std::string& mark = {}) {
    std::string text;
    for (int i = from; i < to; ++i) text += std::to_string(i) + mark + ",";
    return text;
  }

  TemporaryDirectory directory;
  std::optional<Daemon> daemon;
};

TEST_F(Durable, SyncedMessagesSurviveTheEndOfEverything) {
  ASSERT_EQ(load("vault").code, 0) << daemon->log(); // LOADED: it takes nothing yet
  ASSERT_EQ(load_and_start("depositor").code, 0);
  EXPECT_EQ(call("depositor", "deposit 0 10"), "0");
  EXPECT_EQ(call("depositor", "plain 100 110"), "0"); // these are nobody's promise
  EXPECT_EQ(call("depositor", "deposit 10 20"), "0");
  lose_power();
  ASSERT_EQ(load_and_start("vault").code, 0) << daemon->log();
  EXPECT_EQ(vault_has(numbers(0, 20, "r")), numbers(0, 20, "r")) << daemon->log();
  // The sender comes later, and goes on behind them.
  ASSERT_EQ(load_and_start("depositor").code, 0);
  EXPECT_EQ(call("depositor", "deposit 20 30"), "0");
  EXPECT_EQ(vault_has(numbers(0, 20, "r") + numbers(20, 30)),
            numbers(0, 20, "r") + numbers(20, 30));
}

TEST_F(Durable, ACoroutineWaitsForTheDiskAsABlockingCallDoes) {
  ASSERT_EQ(load("vault").code, 0);
  ASSERT_EQ(load_and_start("depositor").code, 0);
  EXPECT_EQ(call("depositor", "later 0 10"), "0");
  EXPECT_EQ(call("depositor", "later 0 0"), "0"); // nothing to wait for
  EXPECT_EQ(call("depositor", "later 10 20"), "0");
  lose_power();
  ASSERT_EQ(load_and_start("vault").code, 0) << daemon->log();
  EXPECT_EQ(vault_has(numbers(0, 20, "r")), numbers(0, 20, "r")) << daemon->log();
}

TEST_F(Durable, WhatWasAcknowledgedDoesNotComeAgain) {
  ASSERT_EQ(load_and_start("vault").code, 0) << daemon->log();
  ASSERT_EQ(load_and_start("depositor").code, 0);
  EXPECT_EQ(call("depositor", "deposit 0 10"), "0");
  EXPECT_EQ(vault_has(numbers(0, 10)), numbers(0, 10));
  EXPECT_EQ(daemon->plugctl({"stop", "vault"}).code, 0);
  EXPECT_EQ(call("depositor", "deposit 10 20"), "0");
  lose_power();
  ASSERT_EQ(load_and_start("vault").code, 0) << daemon->log();
  EXPECT_EQ(vault_has(numbers(10, 20, "r")), numbers(10, 20, "r"));
  // And again: what is handled now is over, what is not comes once more.
  EXPECT_EQ(daemon->plugctl({"stop", "vault"}).code, 0);
  ASSERT_EQ(load_and_start("depositor").code, 0);
  EXPECT_EQ(call("depositor", "deposit 20 25"), "0");
  lose_power();
  ASSERT_EQ(load_and_start("vault").code, 0) << daemon->log();
  EXPECT_EQ(vault_has(numbers(20, 25, "r")), numbers(20, 25, "r"));
}

TEST_F(Durable, TheyWaitThroughManyLivesUntilTheReceiverComes) {
  ASSERT_EQ(load("vault").code, 0);
  ASSERT_EQ(load_and_start("depositor").code, 0);
  EXPECT_EQ(call("depositor", "deposit 0 5"), "0");
  EXPECT_EQ(call("depositor", "urgent 50 55"), "0");
  for (int i = 0; i < 2; ++i) lose_power();
  ASSERT_EQ(load("vault").code, 0); // takes nothing, and dies with all the others
  lose_power();
  ASSERT_EQ(load("vault").code, 0);
  ASSERT_EQ(load_and_start("depositor").code, 0); // while they wait in their rings
  EXPECT_EQ(call("depositor", "deposit 5 8"), "0");
  lose_power();
  ASSERT_EQ(load_and_start("vault").code, 0) << daemon->log();
  EXPECT_TRUE(Daemon::eventually([&] { return call("vault", "count") == "13"; }))
      << call("vault", "?");
  std::string high;
  std::string normal;
  std::istringstream got(call("vault", "?"));
  for (std::string one; std::getline(got, one, ',');) (one.size() > 2 ? high : normal) += one + ",";
  EXPECT_EQ(high, numbers(50, 55, "r"));
  EXPECT_EQ(normal, numbers(0, 8, "r"));
}

TEST_F(Durable, AReplacedManagerGoesOnWithWhatIsOnDisk) {
  ASSERT_EQ(load("vault").code, 0);
  ASSERT_EQ(load_and_start("depositor").code, 0);
  EXPECT_EQ(call("depositor", "deposit 0 10"), "0");
  kill_manager();
  EXPECT_EQ(call("depositor", "deposit 10 20"), "0");
  kill_manager();
  EXPECT_EQ(call("depositor", "sync"), "0");
  lose_power();
  ASSERT_EQ(load("vault").code, 0);
  kill_manager(); // with the restored rings, and before the sender is there
  ASSERT_EQ(load_and_start("depositor").code, 0) << daemon->log();
  EXPECT_EQ(call("depositor", "deposit 20 30"), "0");
  EXPECT_EQ(daemon->plugctl({"start", "vault"}).code, 0);
  EXPECT_EQ(vault_has(numbers(0, 20, "r") + numbers(20, 30)), numbers(0, 20, "r") + numbers(20, 30))
      << daemon->log();
}

TEST_F(Durable, AReceiverThatIsUnloadedFindsThemWhenItIsLoadedAgain) {
  ASSERT_EQ(load("vault").code, 0);
  ASSERT_EQ(load_and_start("depositor").code, 0);
  EXPECT_EQ(call("depositor", "deposit 0 10"), "0");
  EXPECT_EQ(daemon->plugctl({"unload", "vault", "--force"}).code, 0);
  ASSERT_EQ(load_and_start("vault").code, 0) << daemon->log();
  EXPECT_EQ(vault_has(numbers(0, 10, "r")), numbers(0, 10, "r")) << daemon->log();
}

TEST_F(Durable, ASenderThatIsUnloadedLeavesThem) {
  ASSERT_EQ(load("vault").code, 0);
  ASSERT_EQ(load_and_start("depositor").code, 0);
  EXPECT_EQ(call("depositor", "deposit 0 10"), "0");
  EXPECT_EQ(daemon->plugctl({"unload", "depositor", "--force"}).code, 0);
  ASSERT_EQ(load_and_start("depositor").code, 0);
  EXPECT_EQ(call("depositor", "deposit 10 20"), "0");
  lose_power();
  ASSERT_EQ(load_and_start("vault").code, 0) << daemon->log();
  EXPECT_EQ(vault_has(numbers(0, 20, "r")), numbers(0, 20, "r")) << daemon->log();
}

TEST_F(Durable, WhatAProgramSentOutlivesIt) {
  ASSERT_EQ(load("vault").code, 0);
  // A program cannot be answered by a plugin that does not run, but it may send.
  EXPECT_EQ(daemon->plugctl({"start", "vault"}).code, 0);
  EXPECT_EQ(daemon->plugctl({"suspend", "vault"}).code, 0);
  for (int i = 0; i < 2; ++i) {
    const Outcome outcome = run_program("10");
    ASSERT_EQ(outcome.code, 0) << outcome.err << daemon->log();
  }
  lose_power();
  ASSERT_EQ(load_and_start("vault").code, 0) << daemon->log();
  EXPECT_EQ(vault_has(numbers(0, 10, "r") + numbers(0, 10, "r")),
            numbers(0, 10, "r") + numbers(0, 10, "r"))
      << daemon->log();
}

TEST_F(Durable, WhatWasSentOverAConnectionThatEndedIsNotSaidToBeOnDisk) {
  ASSERT_EQ(load_and_start("vault").code, 0) << daemon->log();
  const Outcome outcome = run_program("lost");
  EXPECT_EQ(outcome.code, 0) << outcome.err << daemon->log();
}

// Whatever is under way: what sync() has said is there, in order and once. (What was handled just
// before the end may come again.)
TEST_F(Durable, PowerMayFailAtAnyMoment) {
  int begin = 0;
  for (int round = 0; round < 3; ++round) {
    ASSERT_EQ(load("vault").code, 0) << daemon->log();
    ASSERT_EQ(load_and_start("depositor").code, 0) << daemon->log();
    const auto deposit = [&](int from, int to) {
      return call("depositor", "deposit " + std::to_string(from) + " " + std::to_string(to));
    };
    ASSERT_EQ(deposit(begin, begin + 20), "0");
    const int promised = begin + 20;
    {
      const std::jthread sending([&] {
        const std::string range = std::to_string(promised) + " " + std::to_string(begin + 2000);
        (void)daemon->plugctl({"--timeout", "1", "call", "depositor", "deposit " + range});
      });
      for (const auto since = std::chrono::steady_clock::now();
           std::chrono::steady_clock::now() - since < std::chrono::milliseconds(10 * round);) {
      }
      daemon->kill_hard();
    }
    daemon.reset();
    this->begin(false);
    ASSERT_EQ(load_and_start("vault").code, 0) << daemon->log();
    std::vector<int> got;
    EXPECT_TRUE(Daemon::eventually([&] {
      got = flagged(call("vault", "?"));
      return !got.empty() && got.back() >= promised - 1;
    })) << daemon->log();
    EXPECT_TRUE(std::ranges::is_sorted(got, std::less_equal<>())) << call("vault", "?");
    const auto first = std::ranges::find(got, begin);
    EXPECT_GE(std::distance(first, got.end()), promised - begin);
    for (auto one = first; one != got.end(); ++one)
      EXPECT_EQ(*one, begin + std::distance(first, one));
    begin += 2000;
    lose_power();
  }
}

TEST_F(Durable, NeedsALineInTheManifest) {
  ASSERT_EQ(load_and_start("vault").code, 0) << daemon->log();
  ASSERT_EQ(load_and_start("thrifty").code, 0);
  EXPECT_EQ(call("thrifty", "sync"), "0"); // nothing to be synced
  EXPECT_EQ(call("thrifty", "deposit 0 3"), std::to_string(MOHHOS_E_DENIED));
  EXPECT_EQ(vault_has(numbers(0, 3)), numbers(0, 3)); // sent they are
  EXPECT_NE(daemon->plugctl({"logs", "thrifty"}).out.find("durable = true under [channels]"),
            std::string::npos);
}

} // namespace
} // namespace mohhos::test
