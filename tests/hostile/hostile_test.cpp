// Loads each evil plugin beside an honest neighbour and holds what happened against the table:
// nothing it tried succeeded, the neighbour and the daemon serve on, `plugctl why` names the call
// where the kernel lets us see it, and nothing is left of it.
#include <ostream>
#include <string>

#include <gtest/gtest.h>

#include "evil.hpp"

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

} // namespace
} // namespace mohhos::test
