// Loads each evil plugin beside an honest neighbour and holds what happened against the table:
// nothing it tried succeeded, the neighbour and the daemon serve on, `plugctl why` names the call
// where the kernel lets us see it, and nothing is left of it.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <future>
#include <ostream>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "harness/daemon.hpp"

namespace mohhos::test {
namespace {

enum class Verdict {
  LivesOn,   // every attempt was refused; the plugin itself is harmless and stays RUNNING
  Ends,      // its process ends, the plugin is in ERROR with a cause
  NotLoaded, // the static analysis already refuses the file
  Survives,  // no attempt to report: only its surroundings are looked at
};

struct Row {
  const char* name;
  Verdict verdict;
  const char* expect = ""; // Ends: in the cause; NotLoaded: in the sentence; LivesOn: in its log
  const char* why = "";    // a call that `plugctl why` names
  bool is_called = false;  // it attacks when a message comes
  const char* grant = "";  // grants.d/<name>.toml
};

std::ostream& operator<<(std::ostream& out, const Row& row) {
  return out << row.name;
}

constexpr Row kRows[] = {
    // what it was not granted
    {"open_files", Verdict::LivesOn, "", "/etc/shadow"},
    {"connect_socket", Verdict::LivesOn, "", "socket"},
    {"fork_child", Verdict::LivesOn, "", "fork"},
    {"exec_shell", Verdict::LivesOn, "", "exec"},
    {"census", Verdict::LivesOn},
    {"terminal", Verdict::LivesOn},
    {"race_open", Verdict::LivesOn},
    // other processes
    {"ptrace_sibling", Verdict::LivesOn, "", "ptrace"},
    {"read_memory", Verdict::LivesOn, "", "process_vm_readv"},
    {"kill_everybody", Verdict::LivesOn},
    {"send_descriptors", Verdict::LivesOn, "", "sendmsg"},
    // the filter's corners
    {"raw_syscall", Verdict::LivesOn, "", "ptrace"},
    {"int80", Verdict::Ends, "SIGSYS"},
    {"x32", Verdict::Ends, "SIGSYS"},
    {"unknown_syscalls", Verdict::LivesOn},
    {"fake_stage2", Verdict::LivesOn, "", "mmap"},
    {"sigsys_handler", Verdict::LivesOn},
    // executable memory
    {"wx_mprotect", Verdict::LivesOn, "", "mprotect"},
    {"wx_memfd", Verdict::LivesOn, "", "memfd_create"},
    {"wx_mmap", Verdict::LivesOn, "", "mmap"},
    {"load_library", Verdict::LivesOn},
    {"exec_stack", Verdict::NotLoaded, "stack"},
    // before init
    {"constructor", Verdict::LivesOn, "", "/etc/shadow"},
    {"ifunc", Verdict::LivesOn},
    {"constructor_thread", Verdict::LivesOn},
    {"exit_in_constructor", Verdict::Ends, "exit"},
    // the kernel's doors
    {"io_uring", Verdict::LivesOn, "", "io_uring_setup"},
    {"userfaultfd", Verdict::LivesOn, "", "userfaultfd"},
    {"kernel_doors", Verdict::LivesOn, "", "bpf"},
    {"load_module", Verdict::Ends, "SIGSYS"},
    {"namespaces", Verdict::LivesOn, "", "unshare"},
    {"mounts", Verdict::LivesOn, "", "mount"},
    {"pivot_root", Verdict::Ends, "SIGSYS"},
    {"identity", Verdict::LivesOn},
    {"process_settings", Verdict::LivesOn, "", "personality"},
    // rings, bells and the link
    {"ring_descriptors", Verdict::LivesOn, "", "", true},
    {"write_ring", Verdict::Ends, "SIGSEGV", "", true},
    {"lie_lengths", Verdict::Survives},
    {"drain_bells", Verdict::Survives},
    {"link_junk", Verdict::Survives},
    {"link_flood", Verdict::Survives},
    {"channel_flood", Verdict::Survives},
    {"broken_flood", Verdict::Survives},
    {"open_close", Verdict::Survives},
    {"close_own_fds", Verdict::Survives},
    {"lossy_lies", Verdict::LivesOn, "after 50 channels"},
    {"odd_requests", Verdict::LivesOn, "16383 requests"},
    {"reply_flood", Verdict::LivesOn, "", "", true},
    {"waiting_lies", Verdict::Survives},
    {"subscription_flood", Verdict::LivesOn, "after 256 subscriptions", "", true},
    {"forged_tap", Verdict::Ends, "its lane is not valid"},
    {"forged_record", Verdict::Ends, "TapOpened from the wrong side"},
    {"sync_flood", Verdict::LivesOn, "are under way already"},
    {"unread_hole", Verdict::LivesOn, "after 40 channels and 40 holes"},
    {"break_again", Verdict::LivesOn, "channels, in time"},
    {"ring_hog", Verdict::Survives},
    {"die_for_ever", Verdict::Ends, "SIGSEGV"},
    // memories that ride along
    {"memory_keep", Verdict::LivesOn, "sending with a writable mapping"},
    {"memory_flood", Verdict::LivesOn, "were sent"},
    {"memory_write", Verdict::LivesOn, "after 16 that were kept"},
    // resources
    {"memory_hog", Verdict::Ends, "memory"},
    {"thread_bomb", Verdict::LivesOn},
    {"fork_bomb", Verdict::Survives, "", "", false, "can_create_processes = true\n"},
    {"fd_hog", Verdict::LivesOn},
    {"tmp_bytes", Verdict::LivesOn},
    {"tmp_inodes", Verdict::LivesOn},
    {"log_flood", Verdict::Survives},
    {"log_escape", Verdict::Survives},
    {"refused_flood", Verdict::Survives, "", "socket"},
    // its own process
    {"loop_in_start", Verdict::Ends, "3000 ms"},
    {"stack_overflow", Verdict::Ends, "SIGSEGV"},
    {"stop_itself", Verdict::Survives},
};

int count_of(const std::string& text, std::string_view word) {
  int count = 0;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1))
    ++count;
  return count;
}

std::string lines_with(const std::string& text, std::string_view word) {
  std::istringstream lines(text);
  std::string found;
  for (std::string line; std::getline(lines, line);) {
    if (line.find(word) != std::string::npos) found += line + "\n";
  }
  return found;
}

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

std::string signed_file(Daemon& daemon, const std::string& name) {
  return daemon.sign(std::string(EVIL_DIR) + "/" + name + ".so");
}
Outcome load_and_start(Daemon& daemon, const std::string& name) {
  return daemon.load_and_start(signed_file(daemon, name), name);
}

class Evil : public testing::TestWithParam<Row> {
protected:
  void SetUp() override {
    daemon.trust_key("verified");
    ASSERT_EQ(load("victim").code, 0) << daemon.log();
    ASSERT_EQ(daemon.plugctl({"start", "victim"}).code, 0);
  }

  Outcome load(const std::string& name) { return daemon.load(signed_file(daemon, name)); }

  std::string logs() { return daemon.plugctl({"logs", GetParam().name}).out; }

  void expect_the_neighbour_lives() {
    const Outcome answer = daemon.plugctl({"call", "victim", "are you there?"});
    EXPECT_EQ(answer.code, 0) << answer.err << daemon.log();
    EXPECT_NE(answer.out.find("alive"), std::string::npos) << answer.out;
  }

  void expect_lives_on(const Row& row) {
    EXPECT_TRUE(Daemon::eventually([&] { return count_of(logs(), "ATTACK DONE") > 0; })) << logs();
    if (row.is_called) {
      const Outcome answer = daemon.plugctl({"call", row.name, "attack"});
      EXPECT_EQ(answer.out.substr(0, 5), "alive") << answer.err;
    }
    EXPECT_GT(count_of(logs(), "REFUSED"), 0) << logs();
    EXPECT_NE(logs().find(row.expect), std::string::npos) << logs();
    EXPECT_EQ(daemon.state(row.name), "RUNNING");
  }

  void expect_ends(const Row& row) {
    if (row.is_called) (void)daemon.plugctl({"call", row.name, "attack", "--timeout", "3s"});
    EXPECT_TRUE(daemon.wait_for_state(row.name, "ERROR")) << daemon.state(row.name) << logs();
    const std::string cause = daemon.value({"info", row.name}, "cause");
    EXPECT_NE(cause.find(row.expect), std::string::npos) << "cause: " << cause;
  }

  Daemon daemon;
};

TEST_P(Evil, GetsItsVerdict) {
  const Row& row = GetParam();
  if (*row.grant != '\0') daemon.grant(row.name, row.grant);
  const Outcome loaded = load(row.name);
  if (row.verdict == Verdict::NotLoaded) {
    EXPECT_EQ(loaded.code, 6) << loaded.err;
    EXPECT_NE(loaded.err.find(row.expect), std::string::npos) << loaded.err;
  } else {
    // (One that dies in its constructor or in on_start fails here, with a sentence, and is in
    // ERROR.)
    const Outcome started = loaded.code == 0 ? daemon.plugctl({"start", row.name}) : loaded;
    if (row.verdict == Verdict::LivesOn) {
      EXPECT_EQ(started.code, 0) << started.err;
      expect_lives_on(row);
    }
    if (row.verdict == Verdict::Ends) expect_ends(row);
  }
  expect_the_neighbour_lives();
  EXPECT_EQ(lines_with(logs(), "SUCCEEDED"), "");
  if (am_root()) {
    EXPECT_EQ(lines_with(logs(), "KEPT"), "");
  }
  if (*row.why != '\0') {
    const std::string why = daemon.plugctl({"why", row.name}).out;
    EXPECT_NE(why.find(row.why), std::string::npos) << why;
  }
  if (row.verdict != Verdict::NotLoaded && loaded.code == 0) {
    const Outcome unloaded = daemon.plugctl({"unload", "--force", row.name});
    EXPECT_EQ(unloaded.code, 0) << unloaded.err;
  }
  expect_the_neighbour_lives();
  EXPECT_EQ(daemon.stop(), "");
}

INSTANTIATE_TEST_SUITE_P(Plugin, Evil, testing::ValuesIn(kRows),
                         [](const auto& row) { return std::string(row.param.name); });

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

// Somebody who may look, and asks for more without end.
TEST(EvilUser, DoesNotFillTheAuditLog) {
  if (!am_root()) GTEST_SKIP() << "to be somebody else needs root";
  const std::vector<std::string> as_nobody = {"setpriv", "--reuid=65534", "--regid=65534",
                                              "--clear-groups", "--"};
  const auto run_as_nobody = [&](std::vector<std::string> words) {
    words.insert(words.begin(), as_nobody.begin(), as_nobody.end());
    return run(words, {}, std::chrono::seconds(60));
  };
  const std::string plugctl = program("plugctl");
  if (run_as_nobody({"test", "-x", plugctl}).code != 0)
    GTEST_SKIP() << "nobody cannot execute " << plugctl;
  const TemporaryDirectory root;
  std::filesystem::permissions(root.path(), std::filesystem::perms{0755});
  std::filesystem::create_directories(root.path() / "etc/mohhos");
  write_text(root.path() / "etc/mohhos/mohhosd.toml", "[control]\nobserve_uids = [65534]\n");
  Daemon daemon({.root = root.path(), .prefix = {}, .arguments = {}});
  std::filesystem::permissions(daemon.socket(), std::filesystem::perms{0666}); // as a group's
  const Outcome asked = run_as_nobody(
      {"sh", "-c",
       fmt::format("for i in $(seq 150); do {} --socket {} deadletter drop 1; done 2>&1; {} "
                   "--socket {} status",
                   plugctl, daemon.socket().native(), plugctl, daemon.socket().native())});
  EXPECT_EQ(asked.code, 0) << asked.out << asked.err;
  const std::string log = read_text(daemon.root() / "var/log/mohhos/audit.jsonl");
  EXPECT_GE(count_of(log, "\"event\":\"denied\""), 64) << asked.out;
  EXPECT_LT(count_of(log, "\"event\":\"denied\""), 130);
  EXPECT_EQ(daemon.stop(), "");
}

// What was printed is what a terminal will get: no escape may be left in it.
TEST(EvilText, IsShownEscaped) {
  Daemon daemon;
  daemon.trust_key("verified");
  ASSERT_EQ(load_and_start(daemon, "log_escape").code, 0);
  ASSERT_TRUE(Daemon::eventually([&] {
    return daemon.plugctl({"logs", "log_escape"}).out.find("bidi") != std::string::npos;
  }));
  const std::string shown = daemon.plugctl({"logs", "log_escape"}).out;
  EXPECT_EQ(std::count_if(shown.begin(), shown.end(),
                          [](unsigned char c) { return (c < 0x20 && c != '\n') || c == 0x7F; }),
            0)
      << shown;
  EXPECT_EQ(shown.find("\xe2\x80\xae"), std::string::npos);
  EXPECT_EQ(shown.find('\xff'), std::string::npos);
  EXPECT_EQ(daemon.stop(), "");
}

} // namespace
} // namespace mohhos::test
