// What an evil plugin costs others: the daemon, its neighbours, whoever records it. Each is beside
// somebody honest, who must be none the worse.
#include <filesystem>
#include <fstream>
#include <future>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "evil.hpp"

namespace mohhos::test {
namespace {

// A number of /proc/PID/status; -1: it cannot be read.
long status_of(pid_t process, const std::string& field) {
  std::ifstream status(fmt::format("/proc/{}/status", process));
  std::string word;
  while (status >> word)
    if (word == field) {
      long value = -1;
      return status >> value ? value : -1;
    }
  return -1;
}

// A neighbour that is frozen reads nothing, and is none the worse for what others open and close.
TEST(EvilNeighbour, DoesNotEndWhoIsSuspended) {
  Daemon daemon;
  daemon.trust_key("verified");
  ASSERT_EQ(load_and_start(daemon, "victim").code, 0);
  ASSERT_EQ(daemon.plugctl({"suspend", "victim"}).code, 0);
  ASSERT_EQ(load_and_start(daemon, "open_close").code, 0);
  ASSERT_EQ(daemon.plugctl({"resume", "victim"}).code, 0);
  const Outcome answer = daemon.plugctl({"call", "victim", "are you there?"});
  EXPECT_EQ(answer.code, 0) << answer.err << daemon.log();
  EXPECT_EQ(daemon.stop(), "");
}

// The rings of 64 MB are more than its limit: it pays for what it touches, and nobody else.
TEST(EvilRings, AreChargedToWhoFillsThem) {
  if (!am_root()) GTEST_SKIP() << "an ordinary user's daemon may have no cgroup to charge";
  Daemon daemon;
  daemon.trust_key("verified");
  ASSERT_EQ(load_and_start(daemon, "victim").code, 0);
  EXPECT_NE(load_and_start(daemon, "ring_hog").code, 0);
  EXPECT_TRUE(daemon.wait_for_state("ring_hog", "ERROR"));
  const std::string cause = daemon.value({"info", "ring_hog"}, "cause");
  EXPECT_NE(cause.find("memory"), std::string::npos) << cause;
  EXPECT_EQ(daemon.plugctl({"call", "victim", "are you there?"}).code, 0);
  EXPECT_EQ(daemon.stop(), "");
}

// Who waits for a liar is answered by it: what it says of its own waiting ends nobody's call.
TEST(EvilWaiting, DoesNotEndTheCallsOfOthers) {
  Daemon daemon;
  daemon.trust_key("verified");
  for (const char* name : {"victim", "waiting_lies"})
    ASSERT_EQ(load_and_start(daemon, name).code, 0);
  const Outcome answer = daemon.plugctl({"call", "victim", "ask waiting_lies"});
  EXPECT_NE(answer.out.find("asked=0"), std::string::npos) << answer.out << answer.err;
  EXPECT_EQ(daemon.stop(), "");
}

// What others want to have on disk gets there beside somebody who wants too much.
TEST(EvilSyncs, HoldUpNobodyElse) {
  Daemon daemon;
  daemon.trust_key("verified");
  for (const char* name : {"victim", "saver", "sync_flood"})
    ASSERT_EQ(load_and_start(daemon, name).code, 0);
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(daemon.plugctl({"call", "saver", "?"}).out.substr(0, 7), "saved 0") << daemon.log();
  EXPECT_EQ(daemon.state("sync_flood"), "RUNNING");
  // Its messages are read, so they need no more room than the logs that are being written.
  std::uintmax_t bytes = 0;
  for (const auto& file :
       std::filesystem::recursive_directory_iterator(daemon.root() / "var/lib/mohhos/journal"))
    if (file.is_regular_file()) bytes += file.file_size();
  EXPECT_LT(bytes, 64U << 20);
  EXPECT_EQ(daemon.stop(), "");
}

// What nobody read goes to the dead letters, as far as there is room; the rest costs the manager
// neither memory nor, for long, its time.
TEST(EvilUnread, CostsTheManagerNoMoreThanItKeeps) {
  const TemporaryDirectory root;
  std::filesystem::create_directories(root.path() / "etc/mohhos");
  write_text(root.path() / "etc/mohhos/mohhosd.toml", "[deadletters]\nmax_count = 100\n");
  Daemon daemon({.root = root.path(), .prefix = {}, .arguments = {}});
  daemon.trust_key("verified");
  for (const char* name : {"victim", "hoarder", "unread_pile"})
    ASSERT_EQ(load_and_start(daemon, name).code, 0);
  const std::string said = daemon.plugctl({"logs", "unread_pile"}).out;
  ASSERT_NE(said.find("524286 messages"), std::string::npos) << said;
  const pid_t manager = daemon.manager_pid();
  const long before = status_of(manager, "VmHWM:");
  ASSERT_GT(before, 0);
  EXPECT_EQ(daemon.plugctl({"unload", "--force", "hoarder"}).code, 0);
  EXPECT_EQ(daemon.plugctl({"call", "victim", "are you there?"}).code, 0);
  EXPECT_EQ(daemon.manager_pid(), manager);
  EXPECT_LT(status_of(manager, "VmHWM:") - before, 32 << 10); // KiB
  // And there is room for what others die of.
  EXPECT_EQ(count_of(daemon.plugctl({"deadletter", "list"}).out, "unread_pile"), 75);
  EXPECT_EQ(daemon.stop(), "");
}

TEST(EvilUnread, HoldsNoDescriptorsOfTheManager) {
  Daemon daemon;
  daemon.trust_key("verified");
  ASSERT_EQ(load_and_start(daemon, "victim").code, 0);
  ASSERT_EQ(daemon.plugctl({"suspend", "victim"}).code, 0);
  const auto descriptors = [&] {
    std::error_code error;
    long count = 0;
    for (std::filesystem::directory_iterator
             each(fmt::format("/proc/{}/fd", daemon.manager_pid()), error),
         end;
         !error && each != end; each.increment(error))
      ++count;
    return error ? -1L : count;
  };
  const long before = descriptors();
  if (before < 0) GTEST_SKIP() << "only root sees the manager's descriptors";
  ASSERT_EQ(load_and_start(daemon, "leave_unread").code, 0);
  const std::string said = daemon.plugctl({"logs", "leave_unread"}).out;
  ASSERT_NE(said.find("60 messages on disk"), std::string::npos) << said;
  EXPECT_LT(descriptors() - before, 60);
  ASSERT_EQ(daemon.plugctl({"resume", "victim"}).code, 0);
  EXPECT_EQ(daemon.plugctl({"call", "victim", "are you there?"}).code, 0);
  EXPECT_EQ(daemon.stop(), "");
}

// Where the system gives few descriptors, whoever wants many is refused, and nobody else ends.
TEST(FewDescriptors, EndNeitherTheDaemonNorOthers) {
  DaemonOptions options;
  options.prefix = {"prlimit", "--nofile=128", "--"};
  Daemon daemon(options);
  daemon.trust_key("verified");
  const auto load = [&](const std::string& name) {
    return daemon.load_and_start(daemon.sign(std::string(EVIL_DIR) + "/" + name + ".so"), name);
  };
  ASSERT_EQ(load("victim").code, 0) << daemon.log();
  const pid_t manager = daemon.manager_pid();
  for (const char* name : {"channel_flood", "memory_flood"})
    EXPECT_EQ(load(name).code, 0) << daemon.log();
  EXPECT_EQ(daemon.plugctl({"call", "victim", "are you there?"}).code, 0) << daemon.log();
  EXPECT_EQ(daemon.manager_pid(), manager) << daemon.log();
  EXPECT_EQ(daemon.stop(), "");
}

// A recorder believes nothing of what the one that is recorded says, and ends with the daemon and
// everybody else unharmed.
TEST(EvilCopies, EndTheRecordingAndNothingElse) {
  Daemon daemon;
  daemon.trust_key("verified");
  for (const char* name : {"victim", "tap_lies"}) ASSERT_EQ(load_and_start(daemon, name).code, 0);
  const std::string file = daemon.root() / "recording";
  auto recording = std::async(std::launch::async, [&] {
    return daemon.plugctl({"record", "application:tap_lies", file, "--duration", "15s"});
  });
  ASSERT_TRUE(Daemon::eventually([&] { return std::filesystem::exists(file); }));
  EXPECT_EQ(daemon.plugctl({"send", "tap_lies", "x"}).code, 0);
  const Outcome ended = recording.get();
  EXPECT_EQ(ended.code, 1) << ended.err << daemon.log();
  EXPECT_NE(ended.err.find("copies make no sense"), std::string::npos) << ended.err;
  // What came before the nonsense is there, with what was said of it.
  const Outcome dry = daemon.plugctl({"replay", file, "--dry-run"});
  EXPECT_EQ(dry.code, 0) << dry.err;
  EXPECT_NE(dry.out.find("1 messages"), std::string::npos) << dry.out;
  EXPECT_EQ(daemon.plugctl({"call", "victim", "are you there?"}).code, 0);
  EXPECT_EQ(daemon.stop(), "");
}

// Nobody counts as dead who is about to be begun again: each of them had its turn.
TEST(EvilDeaths, AreCountedAndComeToAnEnd) {
  Daemon daemon;
  daemon.trust_key("verified");
  (void)load_and_start(daemon, "die_for_ever");
  const auto restarts = [&] { return daemon.value({"info", "die_for_ever"}, "restarts"); };
  EXPECT_TRUE(Daemon::eventually([&] {
    return daemon.state("die_for_ever") == "ERROR" && restarts() == "5";
  })) << restarts()
      << daemon.log();
  EXPECT_EQ(daemon.value({"info", "die_for_ever"}, "generation"), "6");
  EXPECT_NE(daemon.plugctl({"start", "die_for_ever"}).code, 0);
  EXPECT_EQ(restarts(), "5"); // and no other began meanwhile
  EXPECT_EQ(daemon.stop(), "");
}

TEST(EvilReports, DoNotFillTheAuditLog) {
  Daemon daemon;
  daemon.trust_key("verified");
  ASSERT_EQ(load_and_start(daemon, "broken_flood").code, 0);
  EXPECT_LT(std::filesystem::file_size(daemon.root() / "var/log/mohhos/audit.jsonl"), 64U << 10);
  EXPECT_EQ(daemon.stop(), "");
}

} // namespace
} // namespace mohhos::test
