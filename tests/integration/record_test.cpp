// What a plugin received, recorded and sent once more.
#include <csignal>
#include <fstream>
#include <future>
#include <optional>

#include <gtest/gtest.h>

#include "fixture.hpp"

namespace mohhos::test {
namespace {

class Record : public WithDaemon {
protected:
  // Begun when this returns.
  std::future<Outcome> recording(const std::string& channel, std::vector<std::string> more) {
    more.insert(more.begin(), {"-o", "json", "record", channel, file()});
    auto running = std::async(std::launch::async,
                              [this, more = std::move(more)] { return daemon.plugctl(more); });
    EXPECT_TRUE(Daemon::eventually([this] { return std::filesystem::exists(file()); }));
    return running;
  }
  [[nodiscard]] std::string file() const { return directory.path() / "recording"; }
  [[nodiscard]] std::string audit() const {
    return read_text(daemon.root() / "var/log/mohhos/audit.jsonl");
  }
  void damage(std::size_t from_the_end) const {
    std::string bytes = read_text(file());
    bytes[bytes.size() - from_the_end] ^= 1;
    write_text(file(), bytes);
  }

  TemporaryDirectory directory;
};

TEST_F(Record, AndReplayIntoAFreshDaemonGivesTheSameMessages) {
  ASSERT_EQ(load_and_start("keeper").code, 0);
  auto running = recording("application:keeper", {"--count", "5"});
  ASSERT_EQ(daemon.plugctl({"send", "keeper", "a"}).code, 0);
  ASSERT_EQ(daemon.plugctl({"send", "keeper", "b", "--priority", "high"}).code, 0);
  ASSERT_EQ(daemon.plugctl({"send", "keeper", "c", "--event", "7"}).code, 0);
  ASSERT_EQ(daemon.plugctl({"send", "keeper", "d", "--type", "config-update"}).code, 0);
  const std::string kept = trimmed(call("keeper", "?"));
  EXPECT_EQ(kept, "a,b,c,d,");
  const Outcome recorded = running.get();
  EXPECT_EQ(recorded.code, 0) << recorded.err;
  EXPECT_EQ(json(recorded.out, "messages"), "5");
  EXPECT_EQ(json(recorded.out, "missed"), "0");

  Daemon fresh;
  ASSERT_EQ(fresh.load_and_start(fresh.sign(plugin_file("keeper")), "keeper").code, 0);
  const Outcome dry = fresh.plugctl({"-o", "json", "replay", file(), "--dry-run"});
  EXPECT_EQ(json(dry.out, "receiver"), "keeper") << dry.err;
  EXPECT_EQ(json(dry.out, "requests"), "1");
  EXPECT_EQ(trimmed(fresh.plugctl({"call", "keeper", "?"}).out), ""); // nothing was sent
  const Outcome replayed = fresh.plugctl({"-o", "json", "replay", file(), "--speed", "max"});
  EXPECT_EQ(replayed.code, 0) << replayed.err;
  EXPECT_EQ(json(replayed.out, "messages"), "5");
  EXPECT_EQ(json(replayed.out, "answers"), "1");
  EXPECT_EQ(json(replayed.out, "overrides_receive_from"), "false");
  // Between lanes there is no order.
  std::string again = trimmed(fresh.plugctl({"call", "keeper", "?"}).out);
  for (const char* each : {"a,", "b,", "c,", "d,"})
    EXPECT_NE(again.find(each), std::string::npos) << again;
  EXPECT_EQ(again.size(), kept.size());
  EXPECT_EQ(fresh.plugctl({"replay", file(), "--speed", "1000"}).code, 0);
}

TEST_F(Record, TakesAChannelThatOpensLaterFromItsFirstMessage) {
  ASSERT_EQ(load_and_start("counter_in").code, 0);
  ASSERT_EQ(load("counter_out").code, 0);
  auto running = recording("counter_out:counter_in", {"--count", "500"});
  ASSERT_EQ(daemon.plugctl({"start", "counter_out"}).code, 0);
  const Outcome recorded = running.get();
  EXPECT_EQ(json(recorded.out, "messages"), "500") << recorded.err;
  EXPECT_EQ(json(recorded.out, "missed"), "0");
  EXPECT_NE(audit().find("\"event\":\"tap\""), std::string::npos);

  Daemon fresh; // 0, 1, 2, … and nothing lost or repeated
  ASSERT_EQ(fresh.load_and_start(fresh.sign(plugin_file("counter_in")), "counter_in").code, 0);
  ASSERT_EQ(fresh.plugctl({"replay", file(), "--speed", "max"}).code, 0);
  EXPECT_EQ(trimmed(fresh.plugctl({"call", "counter_in", "?"}).out), "500 0 0");
}

TEST_F(Record, GoesOnThroughTheDeathOfTheReceiver) {
  ASSERT_EQ(load_and_start("keeper").code, 0);
  ASSERT_EQ(load_and_start("phoenix").code, 0);
  auto running = recording("application:phoenix", {"--count", "4"});
  ASSERT_EQ(daemon.plugctl({"send", "phoenix", "a"}).code, 0);
  // The first process dies of it, the second one takes it once more, flagged.
  ASSERT_EQ(daemon.plugctl({"send", "phoenix", "die as 1"}).code, 0);
  ASSERT_EQ(daemon.plugctl({"send", "phoenix", "b"}).code, 0);
  const Outcome recorded = running.get();
  EXPECT_EQ(json(recorded.out, "messages"), "4") << recorded.err;
  EXPECT_EQ(json(recorded.out, "missed"), "0");
  const std::string bytes = read_text(file());
  const auto first = bytes.find("die as 1");
  EXPECT_NE(bytes.find("die as 1", first + 1), std::string::npos);
}

// Its successor knows who records what, so a channel that opens then is recorded as well.
TEST_F(Record, GoesOnWithAnotherManagerOnChannelsThatOpenThen) {
  ASSERT_EQ(load_and_start("keeper").code, 0);
  ASSERT_EQ(load_and_start("counter_in").code, 0);
  ASSERT_EQ(load("counter_out").code, 0);
  auto running = recording("counter_out:counter_in", {"--count", "300"});
  for (int round = 0; round < 2; ++round) {
    const pid_t manager = daemon.manager_pid();
    ASSERT_EQ(kill(manager, SIGKILL), 0);
    ASSERT_TRUE(Daemon::eventually(
        [&] { return daemon.manager_pid() > 0 && daemon.manager_pid() != manager; }));
    if (round == 0) {
      EXPECT_EQ(daemon.plugctl({"start", "counter_out"}).code, 0);
    }
  }
  const Outcome recorded = running.get();
  EXPECT_EQ(json(recorded.out, "messages"), "300") << recorded.err;
  EXPECT_EQ(json(recorded.out, "missed"), "0");
}

TEST_F(Record, AndReplayKeepWhatIsDurableDurable) {
  ASSERT_EQ(load_and_start("vault").code, 0);
  ASSERT_EQ(load_and_start("depositor").code, 0);
  auto running = recording("depositor:vault", {"--count", "4"});
  EXPECT_EQ(trimmed(call("depositor", "plain 0 1")), "0");
  EXPECT_EQ(trimmed(call("depositor", "deposit 1 4")), "0");
  ASSERT_EQ(running.get().code, 0);
  const Outcome dry = daemon.plugctl({"-o", "json", "replay", file(), "--dry-run"});
  EXPECT_EQ(json(dry.out, "messages"), "4") << dry.err;
  EXPECT_EQ(json(dry.out, "durable"), "3");
  EXPECT_EQ(daemon.plugctl({"replay", file(), "--speed", "max"}).code, 0);
  EXPECT_EQ(trimmed(call("vault", "?")), "0,1,2,3,0,1,2,3,");

  // Where nothing can be kept on disk, what is durable cannot be replayed, and says so.
  TemporaryDirectory root;
  std::filesystem::create_directories(root.path() / "etc/mohhos");
  write_text(root.path() / "etc/mohhos/mohhosd.toml", "[journal]\nenabled = false\n");
  Daemon fresh({.root = root.path(), .prefix = {}, .arguments = {}});
  ASSERT_EQ(fresh.load_and_start(fresh.sign(plugin_file("vault")), "vault").code, 0);
  const Outcome refused = fresh.plugctl({"replay", file(), "--speed", "max"});
  EXPECT_REFUSED(refused, 5, "after 4 of 4 messages", "on disk", "switched off");
}

TEST_F(Record, IsOverriddenForOnePluginOnlyAndAudited) {
  ASSERT_EQ(load_and_start("counter_in").code, 0);
  ASSERT_EQ(load_and_start("counter_closed").code, 0);
  auto running = recording("application:counter_in", {"--count", "1"});
  ASSERT_EQ(daemon.plugctl({"send", "counter_in", "12345678"}).code, 0);
  ASSERT_EQ(running.get().code, 0);
  EXPECT_EQ(daemon.plugctl({"send", "counter_closed", "12345678"}).code, 5);
  const Outcome replayed =
      daemon.plugctl({"-o", "json", "replay", file(), "--to", "counter_closed"});
  EXPECT_EQ(replayed.code, 0) << replayed.err;
  EXPECT_EQ(json(replayed.out, "overrides_receive_from"), "true");
  const std::string lines = audit();
  EXPECT_NE(lines.find("\"event\":\"replay\""), std::string::npos);
  EXPECT_NE(lines.find("\"overrides_receive_from\":true"), std::string::npos);
  EXPECT_NE(lines.find(file()), std::string::npos);
}

TEST_F(Record, ThatIsDamagedSaysWhereAndSendsNothing) {
  ASSERT_EQ(load_and_start("keeper").code, 0);
  auto running = recording("application:keeper", {"--count", "3"});
  for (const char* text : {"one", "two", "three"})
    ASSERT_EQ(daemon.plugctl({"send", "keeper", text}).code, 0);
  ASSERT_EQ(running.get().code, 0);
  const std::string whole = read_text(file());

  damage(40); // in the payload of the third: the end takes 32 bytes
  const Outcome refused = daemon.plugctl({"replay", file(), "--speed", "max"});
  EXPECT_REFUSED(refused, 1, "record 3 at byte", "checksum", "nothing was sent", "--partial");
  EXPECT_EQ(trimmed(call("keeper", "?")), "one,two,three,");
  const Outcome partial = daemon.plugctl({"-q", "replay", file(), "--speed", "max", "--partial"});
  EXPECT_REFUSED(partial, 1, "record 3 at byte");
  EXPECT_EQ(trimmed(call("keeper", "?")), "one,two,three,one,two,");

  write_text(file(), whole.substr(0, whole.size() - 32)); // the recorder was killed
  EXPECT_REFUSED(daemon.plugctl({"replay", file()}), 1, "record 4", "no end");
  write_text(file(), "something else");
  EXPECT_REFUSED(daemon.plugctl({"replay", file()}), 1, "no recording");
}

// What there is when the daemon ends is a whole recording.
TEST_F(Record, EndsWithTheDaemon) {
  DaemonOptions options;
  options.root = directory.path() / "root";
  std::optional<Daemon> owner(options);
  Daemon& other = *owner;
  ASSERT_EQ(other.load_and_start(other.sign(plugin_file("keeper")), "keeper").code, 0);
  auto running = std::async(
      std::launch::async, [&] { return other.plugctl({"record", "application:keeper", file()}); });
  ASSERT_TRUE(Daemon::eventually([this] { return std::filesystem::exists(file()); }));
  ASSERT_EQ(other.plugctl({"send", "keeper", "one"}).code, 0);
  other.kill_hard();
  const Outcome ended = running.get();
  EXPECT_EQ(ended.code, 69) << ended.err;
  const Outcome dry = daemon.plugctl({"-o", "json", "replay", file(), "--dry-run"});
  EXPECT_EQ(dry.code, 0) << dry.err;
  EXPECT_EQ(json(dry.out, "messages"), "1") << dry.out;
  // What it left is taken away by the next one.
  options.trust_a_key = false;
  owner.reset();
  owner.emplace(options);
  const std::string left = owner->stop(); // the fixture's daemon still runs
  EXPECT_EQ(left.find("cgroup"), std::string::npos) << left;
}

TEST_F(Record, RefusesWhatCannotBeRecorded) {
  ASSERT_EQ(load_and_start("keeper").code, 0);
  EXPECT_REFUSED(daemon.plugctl({"record", "77", file()}), 4, "no channel 77");
  EXPECT_REFUSED(daemon.plugctl({"record", "absent:keeper", file()}), 4, "absent");
  EXPECT_REFUSED(daemon.plugctl({"record", "keeper", file()}), 2, "sender:receiver");
  EXPECT_REFUSED(daemon.plugctl({"record", "application:keeper", "/nowhere/file"}), 1,
                 "/nowhere/file", "No such file");
  EXPECT_FALSE(std::filesystem::exists(file()));
  write_text(file(), "precious");
  EXPECT_NE(daemon.plugctl({"record", "application:keeper", file(), "--count", "1"}).code, 0);
  EXPECT_EQ(read_text(file()), "precious");
  EXPECT_REFUSED(daemon.plugctl({"replay", file() + ".absent"}), 1, ".absent");
}

} // namespace
} // namespace mohhos::test
