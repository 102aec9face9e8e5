// Users of the control socket: what one of them may cost the others, and what they are shown.
#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "evil.hpp"

namespace mohhos::test {
namespace {

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
