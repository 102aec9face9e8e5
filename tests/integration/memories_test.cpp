// Memories that ride along messages, from plugin to plugin, whatever dies meanwhile.
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>

#include <gtest/gtest.h>

#include <mohhos/abi.h>

#include "fixture.hpp"

namespace mohhos::test {
namespace {

class Memories : public WithDaemon {
protected:
  void SetUp() override {
    ASSERT_EQ(load_and_start("gallery").code, 0) << daemon.log();
    ASSERT_EQ(load_and_start("painter").code, 0) << daemon.log();
  }
  std::string ask(const std::string& name, const std::string& text) {
    return trimmed(call(name, text));
  }
  std::string paint(const std::string& rest) { return ask("painter", "paint " + rest); }
  // What the gallery has, once it is that, or whatever it is instead.
  std::string shown(const std::string& wanted) {
    std::string has;
    (void)Daemon::eventually([&] { return (has = ask("gallery", "?")) == wanted; });
    return has;
  }
  void kill_manager() {
    const pid_t manager = daemon.manager_pid();
    ASSERT_EQ(kill(manager, SIGKILL), 0);
    ASSERT_TRUE(Daemon::eventually(
        [&] { return daemon.manager_pid() > 0 && daemon.manager_pid() != manager; }));
  }
  // Descriptors of memories that this process has; nothing: it cannot be seen.
  static std::optional<int> memories_of(pid_t process) {
    std::error_code error;
    int count = 0;
    const auto files =
        std::filesystem::directory_iterator("/proc/" + std::to_string(process) + "/fd", error);
    if (error) return std::nullopt;
    for (const auto& file : files) {
      const auto target = std::filesystem::read_symlink(file, error);
      if (!error && target.native().starts_with("/memfd:mohhos-memory")) ++count;
    }
    return count;
  }
};

TEST_F(Memories, ArriveAndOutliveTheirMessageAndTheirSender) {
  for (const int number : {1, 2, 3}) EXPECT_EQ(paint(std::to_string(number) + " 1048576"), "0");
  EXPECT_EQ(paint("4 1"), "0");
  EXPECT_EQ(shown("1=,2=,3=,4=,"), "1=,2=,3=,4=,") << daemon.log();
  EXPECT_EQ(daemon.plugctl({"unload", "painter", "--force"}).code, 0);
  EXPECT_EQ(shown("1=,2=,3=,4=,"), "1=,2=,3=,4=,");
  const auto held = memories_of(daemon.manager_pid());
  if (!held) GTEST_SKIP() << "the manager's descriptors cannot be seen";
  EXPECT_EQ(*held, 4);
  EXPECT_EQ(ask("gallery", "clear"), "cleared");
  EXPECT_TRUE(Daemon::eventually([&] { return memories_of(daemon.manager_pid()) == 0; }));
  EXPECT_TRUE(Daemon::eventually([&] { return memories_of(daemon.pid()).value_or(0) == 0; }));
}

TEST_F(Memories, OneReachesSeveralReceivers) {
  ASSERT_EQ(daemon.load_and_start(daemon.sign(plugin_file("annex")), "annex").code, 0);
  EXPECT_EQ(ask("painter", "hang 5 70000 annex"), "0");
  EXPECT_EQ(shown("5=,"), "5=,");
  EXPECT_TRUE(Daemon::eventually([&] { return ask("annex", "?") == "5=,"; })) << daemon.log();
}

TEST_F(Memories, RideAlongRequestsAndTheirAnswers) {
  EXPECT_EQ(ask("painter", "ask 6 65536"), "0");
  EXPECT_TRUE(Daemon::eventually([&] {
    return daemon.plugctl({"logs", "painter"}).out.find("turned") != std::string::npos;
  })) << daemon.plugctl({"logs", "painter"}).out;
}

TEST_F(Memories, AreThereAgainAfterTheReceiverCrashed) {
  EXPECT_EQ(daemon.plugctl({"suspend", "gallery"}).code, 0);
  EXPECT_EQ(paint("1 65536"), "0");
  EXPECT_EQ(paint("2 65536 die as 1"), "0");
  EXPECT_EQ(paint("3 65536"), "0");
  EXPECT_EQ(daemon.plugctl({"resume", "gallery"}).code, 0);
  EXPECT_EQ(shown("2=r,3=,"), "2=r,3=,") << daemon.log();
  EXPECT_EQ(paint("4 65536"), "0");
  EXPECT_EQ(shown("2=r,3=,4=,"), "2=r,3=,4=,") << daemon.log();
}

TEST_F(Memories, OutliveACrashOfTheirSender) {
  EXPECT_EQ(daemon.plugctl({"suspend", "gallery"}).code, 0);
  EXPECT_EQ(paint("1 65536"), "0");
  EXPECT_NE(daemon.plugctl({"call", "painter", "crash"}).code, 0);
  ASSERT_TRUE(
      Daemon::eventually([&] { return daemon.value({"info", "painter"}, "generation") == "2"; }));
  ASSERT_TRUE(daemon.wait_for_state("painter", "RUNNING"));
  EXPECT_EQ(paint("2 65536"), "0");
  EXPECT_EQ(daemon.plugctl({"resume", "gallery"}).code, 0);
  EXPECT_EQ(shown("1=,2=,"), "1=,2=,") << daemon.log();
}

TEST_F(Memories, OutliveTheManager) {
  EXPECT_EQ(paint("1 65536"), "0");
  EXPECT_EQ(shown("1=,"), "1=,");
  EXPECT_EQ(daemon.plugctl({"suspend", "gallery"}).code, 0);
  EXPECT_EQ(paint("2 65536 die as 1"), "0");
  kill_manager();
  EXPECT_EQ(paint("3 65536"), "0");
  kill_manager();
  EXPECT_EQ(daemon.plugctl({"resume", "gallery"}).code, 0);
  EXPECT_EQ(shown("2=r,3=,"), "2=r,3=,") << daemon.log();
  EXPECT_EQ(ask("gallery", "clear"), "cleared");
  if (!memories_of(daemon.manager_pid())) GTEST_SKIP() << "the manager's descriptors are not seen";
  EXPECT_TRUE(Daemon::eventually([&] { return memories_of(daemon.manager_pid()) == 0; }))
      << *memories_of(daemon.manager_pid());
}

// The channel is over, and what came over it is not: it was allowed when it was sent.
TEST_F(Memories, OutliveTheRightOfTheirSender) {
  EXPECT_EQ(paint("1 65536"), "0");
  EXPECT_EQ(shown("1=,"), "1=,");
  EXPECT_EQ(daemon.plugctl({"suspend", "gallery"}).code, 0);
  EXPECT_EQ(paint("2 65536"), "0");
  EXPECT_EQ(daemon.plugctl({"unload", "painter", "--force"}).code, 0);
  ASSERT_EQ(daemon.load(daemon.sign(plugin_file("painter_mute"))).code, 0) << daemon.log();
  EXPECT_REFUSED(daemon.plugctl({"start", "painter"}), 1, "acl.send_to", "gallery");
  EXPECT_EQ(daemon.plugctl({"resume", "gallery"}).code, 0);
  EXPECT_EQ(shown("1=,2=,"), "1=,2=,") << daemon.log();
  EXPECT_EQ(ask("gallery", "clear"), "cleared");
  if (!memories_of(daemon.manager_pid())) GTEST_SKIP() << "the manager's descriptors are not seen";
  EXPECT_TRUE(Daemon::eventually([&] { return memories_of(daemon.manager_pid()) == 0; }));
}

// What waited for the one before goes with it; the sender hears why nothing more is taken.
TEST_F(Memories, EndWithAReceiverWhoseSuccessorMayNotHaveThem) {
  EXPECT_EQ(paint("1 65536"), "0");
  EXPECT_EQ(shown("1=,"), "1=,");
  EXPECT_EQ(daemon.plugctl({"suspend", "gallery"}).code, 0);
  EXPECT_EQ(paint("2 65536"), "0");
  EXPECT_EQ(daemon.plugctl({"unload", "gallery", "--force"}).code, 0);
  ASSERT_EQ(daemon.load_and_start(daemon.sign(plugin_file("gallery_closed")), "gallery").code, 0);
  EXPECT_EQ(paint("3 65536"), std::to_string(MOHHOS_E_PEER_GONE));
  EXPECT_EQ(ask("painter", "open"), std::to_string(MOHHOS_E_DENIED));
  EXPECT_EQ(ask("gallery", "?"), "");
  if (!memories_of(daemon.manager_pid())) GTEST_SKIP() << "the manager's descriptors are not seen";
  EXPECT_TRUE(Daemon::eventually([&] { return memories_of(daemon.manager_pid()) == 0; }));
  EXPECT_TRUE(Daemon::eventually([&] { return memories_of(daemon.pid()).value_or(0) == 0; }));
}

TEST_F(Memories, AreLimitedForWhoMakesThem) {
  const std::string exhausted = std::to_string(MOHHOS_E_EXHAUSTED);
  EXPECT_EQ(ask("painter", "make 1000 4096"), "64 " + exhausted);
  EXPECT_EQ(paint("1 4096"), exhausted);
  EXPECT_NE(daemon.plugctl({"logs", "painter"}).out.find("64 memories"), std::string::npos);
  // A process that dies has none any more.
  EXPECT_NE(daemon.plugctl({"call", "painter", "crash"}).code, 0);
  ASSERT_TRUE(
      Daemon::eventually([&] { return daemon.value({"info", "painter"}, "generation") == "2"; }));
  ASSERT_TRUE(daemon.wait_for_state("painter", "RUNNING"));
  EXPECT_EQ(paint("1 4096"), "0");
  // No more bytes than it could ever fill: max_memory_mb is 64.
  EXPECT_EQ(ask("painter", "make 1 67108865"), "0 " + std::to_string(MOHHOS_E_TOO_LARGE));
  EXPECT_EQ(ask("painter", "make 3 33554432"), "2 " + exhausted);
  EXPECT_EQ(ask("painter", "make 1 0"), "0 " + std::to_string(MOHHOS_E_INVALID));
}

TEST_F(Memories, AreLimitedForAReceiverThatKeepsThem) {
  const std::string exhausted = std::to_string(MOHHOS_E_EXHAUSTED);
  EXPECT_EQ(ask("painter", "flood"), "16 " + exhausted);
  EXPECT_EQ(paint("1 4096"), exhausted);
  EXPECT_EQ(ask("gallery", "clear"), "cleared");
  EXPECT_EQ(paint("2 4096"), "0"); // heard before it was asked
  std::ifstream audit(daemon.root() / "var/log/mohhos/audit.jsonl");
  const std::string lines{std::istreambuf_iterator<char>(audit), {}};
  if (!am_root() && lines.empty()) GTEST_SKIP() << "the audit log cannot be read";
  EXPECT_NE(lines.find("memory-refused"), std::string::npos);
}

TEST_F(Memories, DoNotGoWithDurableMessages) {
  EXPECT_EQ(ask("painter", "durable"), std::to_string(MOHHOS_E_INVALID));
}

} // namespace
} // namespace mohhos::test
