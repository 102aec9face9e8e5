// The same daemon for an ordinary user: everything in user namespaces, and what is weaker is said.
#include <unistd.h>

#include <gtest/gtest.h>

#include "fixture.hpp"

namespace mohhos::test {
namespace {

// As nobody when we are root; as ourselves when we are not.
DaemonOptions as_ordinary_user() {
  DaemonOptions options;
  options.trust_a_key = false;
  if (am_root()) {
    options.prefix = {"setpriv",        "--reuid=65534",   "--regid=65534",
                      "--clear-groups", "--inh-caps=-all", "--"};
  }
  return options;
}

TEST(UserMode, LoadsAndRunsAPluginAndSaysWhatIsMissing) {
  TemporaryDirectory directory;
  DaemonOptions options = as_ordinary_user();
  options.root = directory.path() / "root";
  std::filesystem::create_directories(options.root);
  if (am_root()) {
    std::filesystem::permissions(directory.path(), std::filesystem::perms(0755));
    for (const auto& path : {directory.path(), options.root})
      ASSERT_EQ(chown(path.c_str(), 65534, 65534), 0);
    if (run({"setpriv", "--reuid=65534", "--clear-groups", "--", "test", "-x", program("mohhosd")})
            .code != 0) {
      GTEST_SKIP() << "nobody may not read " << program("mohhosd");
    }
  }
  if (run({"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--", "unshare", "-Ur",
           "true"})
              .code != 0 &&
      am_root()) {
    GTEST_SKIP() << "this kernel gives an ordinary user no user namespace";
  }
  std::vector<std::string> as_user = options.prefix;
  const auto user_runs = [&](std::vector<std::string> command) {
    command.insert(command.begin(), as_user.begin(), as_user.end());
    return run(command, {{"HOME", directory.path()},
                         {"MOHHOS_SOCKET", options.root / "run/mohhos/control.sock"}});
  };
  const std::filesystem::path key = options.root / "test.key";
  Outcome made = user_runs({program("plugctl"), "key", "generate", "--out", options.root / "test"});
  ASSERT_EQ(made.code, 0) << made.err;
  made = user_runs(
      {program("plugctl"), "--root", options.root, "key", "trust", options.root / "test.pub"});
  ASSERT_EQ(made.code, 0) << made.err;
  Daemon daemon(options);
  const std::filesystem::path plugin = options.root / "plain.so";
  std::filesystem::copy_file(plugin_file("plain"), plugin);
  if (am_root()) {
    ASSERT_EQ(chown(plugin.c_str(), 65534, 65534), 0);
  }
  ASSERT_EQ(user_runs({program("plugctl"), "sign", "--key", key, plugin}).code, 0);
  const Outcome loaded = user_runs({program("plugctl"), "load", plugin});
  ASSERT_EQ(loaded.code, 0) << loaded.err << daemon.log();
  ASSERT_EQ(user_runs({program("plugctl"), "start", "plain"}).code, 0);
  EXPECT_EQ(trimmed(user_runs({program("plugctl"), "call", "plain", "ping"}).out), "pong");
  EXPECT_EQ(user_runs({program("plugctl"), "suspend", "plain"}).code, 0);
  EXPECT_EQ(user_runs({program("plugctl"), "resume", "plain"}).code, 0);
  EXPECT_EQ(trimmed(user_runs({program("plugctl"), "call", "plain", "ping"}).out), "pong");
  const std::string status = user_runs({program("plugctl"), "-o", "json", "status"}).out;
  EXPECT_EQ(json(status, "mode").substr(0, 4), "user") << status;
  EXPECT_NE(json(status, "missing"), "[]") << status;
  EXPECT_EQ(daemon.stop(), "");
}

} // namespace
} // namespace mohhos::test
