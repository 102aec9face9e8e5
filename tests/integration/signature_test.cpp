// Nothing runs whose signature does not hold: every kind of tampering is refused with exit code 6
// and a sentence that says which, by us and by Debian's minisign alike.
#include <gtest/gtest.h>

#include "fixture.hpp"

namespace mohhos::test {
namespace {

namespace fs = std::filesystem;

class Signature : public WithDaemon {
protected:
  fs::path signed_plain() { return daemon.sign(plugin_file("plain")); }
  static fs::path signature_of(const fs::path& plugin) { return plugin.string() + ".minisig"; }

  static void flip(const fs::path& file, std::size_t at) {
    std::string bytes = read_text(file);
    ASSERT_LT(at, bytes.size());
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    write_text(file, bytes);
  }

  void expect_untrusted(const fs::path& plugin, const char* says) {
    EXPECT_REFUSED(daemon.load(plugin), 6, says);
    EXPECT_EQ(daemon.plugctl({"info", "plain"}).code, 4) << "something of it is there";
  }
};

TEST_F(Signature, AGoodOneIsGoodForMinisignToo) {
  const fs::path plugin = signed_plain();
  const std::string pub = daemon.public_key();
  EXPECT_EQ(run({program("plugctl"), "verify", "--public-key", pub, plugin}).code, 0);
  const Outcome theirs = run({"minisign", "-V", "-p", pub, "-m", plugin});
  if (theirs.code == 127) GTEST_SKIP() << "minisign is not installed";
  EXPECT_EQ(theirs.code, 0) << theirs.out << theirs.err;
}

TEST_F(Signature, OneOfMinisignIsGoodForUs) {
  const fs::path plugin = daemon.root() / "plain.so";
  fs::copy_file(plugin_file("plain"), plugin);
  const fs::path secret = daemon.root() / "theirs.key";
  const Outcome made = run({"minisign", "-G", "-W", "-s", secret, "-p", secret.string() + ".pub"});
  if (made.code == 127) GTEST_SKIP() << "minisign is not installed";
  ASSERT_EQ(made.code, 0) << made.err;
  ASSERT_EQ(
      run({"minisign", "-S", "-W", "-s", secret, "-m", plugin, "-x", signature_of(plugin)}).code,
      0);
  expect_untrusted(plugin, "key");
  fs::copy_file(secret.string() + ".pub", daemon.etc() / "keys.d/theirs.pub");
  EXPECT_EQ(daemon.load(plugin).code, 0) << daemon.log();
}

TEST_F(Signature, AMissingOneIsRefused) {
  const fs::path plugin = daemon.root() / "unsigned.so";
  fs::copy_file(plugin_file("plain"), plugin);
  expect_untrusted(plugin, "unsigned.so");
}

TEST_F(Signature, AnyChangedByteOfTheFileIsRefused) {
  const std::string original = read_text(plugin_file("plain"));
  const fs::path plugin = signed_plain();
  for (std::size_t i = 0; i < 8; ++i) {
    write_text(plugin, original);
    flip(plugin, i * (original.size() - 1) / 7);
    expect_untrusted(plugin, "signature");
  }
  write_text(plugin, original + "x");
  expect_untrusted(plugin, "signature");
  write_text(plugin, original.substr(0, original.size() - 1));
  expect_untrusted(plugin, "signature");
}

TEST_F(Signature, AnyChangedByteOfTheSignatureIsRefused) {
  const fs::path plugin = signed_plain();
  const std::string good = read_text(signature_of(plugin));
  const std::size_t first = good.find('\n') + 1; // the untrusted comment is what it says
  for (std::size_t at = first; at < good.size(); at += 7) {
    if (good[at] == '\n') continue;
    write_text(signature_of(plugin), good);
    flip(signature_of(plugin), at);
    const Outcome outcome = daemon.load(plugin);
    EXPECT_EQ(outcome.code, 6) << "byte " << at << ": " << outcome.err;
  }
  expect_serving();
}

TEST_F(Signature, AChangedTrustedCommentIsRefused) {
  const fs::path plugin = signed_plain();
  const std::string text = read_text(signature_of(plugin));
  const std::size_t second = text.find("\ntrusted comment: ");
  ASSERT_NE(second, std::string::npos);
  flip(signature_of(plugin), second + 20);
  expect_untrusted(plugin, "comment");
}

TEST_F(Signature, ACutOrEmptySignatureIsRefused) {
  const fs::path plugin = signed_plain();
  const std::string good = read_text(signature_of(plugin));
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{10}, good.size() / 2, good.size() - 20}) {
    write_text(signature_of(plugin), good.substr(0, size));
    EXPECT_EQ(daemon.load(plugin).code, 6);
  }
  write_text(signature_of(plugin), std::string(100000, 'A'));
  EXPECT_NE(daemon.load(plugin).code, 0);
}

TEST_F(Signature, AnUnknownKeyIsRefusedAndNamed) {
  const fs::path plugin = signed_plain();
  const fs::path other = daemon.root() / "other.key";
  ASSERT_EQ(run({program("plugctl"), "key", "generate", "--out", daemon.root() / "other"}).code, 0);
  ASSERT_EQ(run({program("plugctl"), "sign", "--key", other, plugin}).code, 0);
  expect_untrusted(plugin, "key");
}

// Each command that is printed as the next step works as it stands, whatever the daemon was named
// by.
TEST_F(Signature, WhatIsPrintedAsTheNextCommandWorksWhenCopied) {
  const auto copied = [](const std::string& text, const std::string& begin) {
    const auto at = text.find(begin);
    const auto end = text.find_first_of(")\n", at);
    return at == std::string::npos ? "" : text.substr(at, end - at);
  };
  const auto run_copied = [](std::string command) {
    command.replace(0, std::string("plugctl").size(), program("plugctl").native());
    return run({"sh", "-c", command});
  };
  const std::string root = daemon.root();
  const std::string socket = daemon.socket();
  const fs::path plugin = signed_plain();
  const Outcome made = run(
      {program("plugctl"), "--root", root, "key", "generate", "--out", daemon.root() / "other"});
  ASSERT_EQ(made.code, 0);
  ASSERT_EQ(run({program("plugctl"), "sign", "--key", daemon.root() / "other.key", plugin}).code,
            0);
  for (const auto& daemon_named : std::vector<std::vector<std::string>>{
           {"--root", root}, {"--socket", socket}, {"--socket", socket, "--root", root}}) {
    std::vector<std::string> load = {program("plugctl"), "load", plugin};
    load.insert(load.begin() + 1, daemon_named.begin(), daemon_named.end());
    const Outcome refused = run(load);
    EXPECT_EQ(refused.code, 6);
    const std::string trust = copied(refused.err, "plugctl --root " + root + " key trust FILE.pub");
    EXPECT_NE(trust, "") << refused.err;
  }
  const std::string trust = copied(made.out, "plugctl --root " + root + " key trust");
  EXPECT_EQ(run_copied(trust).code, 0) << made.out;
  EXPECT_EQ(daemon.load(plugin).code, 0) << daemon.log();

  const Outcome again = run({program("plugctl"), "--socket", socket, "load", plugin});
  const std::string unload = copied(again.err, "plugctl --root " + root + " unload plain");
  EXPECT_EQ(run_copied(unload).code, 0) << again.err;
  const fs::path moved = daemon.root() / "elsewhere.sock"; // of no directory that it could tell
  fs::create_symlink(socket, moved);
  EXPECT_EQ(daemon.load(plugin).code, 0);
  const Outcome once_more = run({program("plugctl"), "--socket", moved, "load", plugin});
  const std::string that = copied(once_more.err, "plugctl --socket " + moved.native() + " unload");
  EXPECT_EQ(run_copied(that).code, 0) << once_more.err;
}

TEST_F(Signature, ALegacyOneIsRefused) {
  const fs::path plugin = daemon.root() / "plain.so";
  fs::copy_file(plugin_file("plain"), plugin);
  const fs::path secret = daemon.root() / "legacy.key";
  const Outcome made = run({"minisign", "-G", "-W", "-s", secret, "-p", secret.string() + ".pub"});
  if (made.code == 127) GTEST_SKIP() << "minisign is not installed";
  // -l: the legacy format, which signs the bytes themselves.
  ASSERT_EQ(
      run({"minisign", "-S", "-l", "-W", "-s", secret, "-m", plugin, "-x", signature_of(plugin)})
          .code,
      0);
  fs::copy_file(secret.string() + ".pub", daemon.etc() / "keys.d/legacy.pub");
  expect_untrusted(plugin, "egacy");
}

TEST_F(Signature, ASignatureOfAnotherPluginIsRefused) {
  const fs::path plugin = signed_plain();
  const fs::path other = daemon.sign(plugin_file("counter_in"));
  fs::copy_file(signature_of(other), signature_of(plugin), fs::copy_options::overwrite_existing);
  expect_untrusted(plugin, "signature");
}

TEST_F(Signature, AKeyThatWasTakenOutOfTheRingNoLongerCounts) {
  const fs::path plugin = signed_plain();
  ASSERT_EQ(daemon.load(plugin).code, 0);
  ASSERT_EQ(daemon.plugctl({"unload", "plain"}).code, 0);
  for (const auto& entry : fs::directory_iterator(daemon.etc() / "keys.d"))
    fs::remove(entry.path());
  expect_untrusted(plugin, "key");
}

} // namespace
} // namespace mohhos::test
