// Users of the control socket: what one of them may cost the others, and what they are shown.
#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "api/client.hpp"
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

// A program that opens and closes endpoints without end is refused after a while, in the audit log
// once for each time that it is, and only opening is refused to it.
TEST(EvilUser, OpensEndpointsNoFasterThanItMay) {
  Daemon daemon;
  auto client = api::Client::connect(daemon.socket());
  ASSERT_TRUE(client) << client.error().text;
  const auto open = [&] {
    sys::Fd link; // closed at once
    return client->call<v1::OpenEndpointResponse>(
        api::Method::OpenEndpoint, v1::OpenEndpointRequest(), std::chrono::seconds(20), -1, &link);
  };
  int opened = 0;
  std::optional<Error> refused;
  for (int i = 0; i < 5000 && !refused; ++i) {
    if (auto answer = open(); answer)
      ++opened;
    else if (answer.error().text.find("max_endpoints_per_uid") == std::string::npos)
      refused = answer.error(); // (the daemon may not have seen yet that the others are closed)
  }
  ASSERT_TRUE(refused) << opened;
  EXPECT_EQ(refused->code, Code::Exhausted);
  EXPECT_NE(refused->text.find("too often"), std::string::npos) << refused->text;
  EXPECT_GE(opened, 500);
  int again = 0; // as time goes by
  for (int i = 0; i < 500; ++i) again += open() ? 1 : 0;
  EXPECT_LT(again, 500);
  const std::string log = read_text(daemon.root() / "var/log/mohhos/audit.jsonl");
  EXPECT_GE(count_of(log, "\"event\":\"endpoints-refused\""), 1);
  EXPECT_LE(count_of(log, "\"event\":\"endpoints-refused\""), 1 + again);
  EXPECT_TRUE(
      client->call<v1::DaemonStatus>(api::Method::Status, v1::Empty(), std::chrono::seconds(20)));
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
