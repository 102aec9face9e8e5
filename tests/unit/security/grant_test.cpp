#include "security/policy.hpp"

#include "security/manifest.hpp"
#include "support.hpp"

namespace mohhos::security {
namespace {

using model::Capability;
using model::TrustLevel;

const std::filesystem::path kFile = "/etc/mohhos/grants.d/reader.toml";

model::Metadata metadata_of(std::string_view more) {
  return parse_manifest_toml(fmt::format("name = \"reader\"\nversion = \"1\"\n{}", more),
                             "plugin.toml")
      .value();
}

KeyTrust trust_of(TrustLevel level) {
  return {.id = {}, .level = level, .ceiling = default_ceiling(level), .names = {}, .key = {}};
}

OperatorPolicy policy_of(std::string_view text) {
  return parse_policy(text, kFile).value();
}

constexpr std::string_view kReader =
    "[capabilities]\ncan_access_filesystem = true\n[acl]\nread = [\"${input}\", \"/usr/share/a\"]\n"
    "[config]\ninput = \"\"\nmode = \"fast\"\n[limits]\nmax_memory_mb = 64\n";

TEST(Grant, IsWhatManifestCeilingAndOperatorAgreeOn) {
  const auto given = grant(
      metadata_of(kReader), trust_of(TrustLevel::Community),
      policy_of(
          "can_access_filesystem = true\ncan_access_hardware = true\nread = [\"/usr/share\"]\n"
          "[config]\ninput = \"/srv/text\"\n[limits]\nmax_memory_mb = 32\nmax_processes = 999\n"));
  ASSERT_TRUE(given) << given.error().text;
  EXPECT_TRUE(given->capabilities.has(Capability::Filesystem));
  EXPECT_FALSE(given->capabilities.has(Capability::Hardware)); // not asked for
  EXPECT_EQ(given->acl.read, (std::vector<std::string>{"/srv/text", "/usr/share/a"}));
  EXPECT_EQ(given->limits.max_memory_mb, 32U);
  EXPECT_EQ(given->limits.max_processes, model::ResourceLimits{}.max_processes); // never raised
  EXPECT_EQ(given->config.at("input"), "/srv/text");
  EXPECT_EQ(given->config.at("mode"), "fast");
}

TEST(Grant, NothingAskedNeedsNoFile) {
  const auto given = grant(metadata_of("[acl]\nsend_to = [\"x\"]\n"),
                           trust_of(TrustLevel::Community), policy_of(""));
  ASSERT_TRUE(given) << given.error().text;
  EXPECT_EQ(given->acl.send_to, (std::vector<std::string>{"x"}));
}

TEST(Grant, AllThatIsMissingIsSaidAtOnceWithTheLinesToWrite) {
  const auto refused = grant(metadata_of(kReader), trust_of(TrustLevel::Community),
                             policy_of("read = [\"/opt\"]\n"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::ConsentNeeded);
  for (const auto* words :
       {"reader asks for", "can_access_filesystem", "the setting 'input'", "read /usr/share/a",
        "plugctl grant reader --capability can_access_filesystem --set input=/PATH --read "
        "/usr/share/a",
        "/etc/mohhos/grants.d/reader.toml", "\n  can_access_filesystem = true\n",
        "\n  read = [\"/opt\", \"/usr/share/a\"]\n", "\n  [config]\n  input = \"/PATH\""})
    EXPECT_NE(refused.error().text.find(words), std::string::npos)
        << words << "\nin: " << refused.error().text;
}

TEST(Grant, TheCommandInTheErrorNamesAPrivateRoot) {
  const auto policy = parse_policy("", "/srv/m/etc/mohhos/grants.d/reader.toml").value();
  const auto refused = grant(metadata_of(kReader), trust_of(TrustLevel::Community), policy);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text.find("--read /usr/share/a --root /srv/m, or let"),
            std::string::npos)
      << refused.error().text;
}

// What the error says is enough: the lines that it shows are a file that is granted.
TEST(Grant, TheLinesInTheErrorAreEnough) {
  const auto refused = grant(metadata_of(kReader), trust_of(TrustLevel::Community), policy_of(""));
  ASSERT_FALSE(refused);
  const std::string& text = refused.error().text;
  const auto again = grant(metadata_of(kReader), trust_of(TrustLevel::Community),
                           policy_of(text.substr(text.find('\n'))));
  EXPECT_TRUE(again) << again.error().text;
}

TEST(Grant, PrefixesEndAtComponents) {
  const auto asked = metadata_of(
      "[capabilities]\ncan_access_filesystem = true\n[acl]\nread = [\"/usr/shared/a\"]\n");
  EXPECT_REFUSED(grant(asked, trust_of(TrustLevel::Community),
                       policy_of("can_access_filesystem = true\nread = [\"/usr/share\"]")),
                 Code::ConsentNeeded, "read /usr/shared/a");
  EXPECT_TRUE(grant(asked, trust_of(TrustLevel::Community),
                    policy_of("can_access_filesystem = true\nread = [\"/usr/shared/a\"]")));
  EXPECT_TRUE(grant(asked, trust_of(TrustLevel::Community),
                    policy_of("can_access_filesystem = true\nread = [\"/\"]")));
}

TEST(Grant, WriteIncludesReadAndReadDoesNotIncludeWrite) {
  const auto reads =
      metadata_of("[capabilities]\ncan_access_filesystem = true\n[acl]\nread = [\"/srv/a\"]\n");
  const auto writes =
      metadata_of("[capabilities]\ncan_access_filesystem = true\n[acl]\nwrite = [\"/srv/a\"]\n");
  EXPECT_TRUE(grant(reads, trust_of(TrustLevel::Community),
                    policy_of("can_access_filesystem = true\nwrite = [\"/srv\"]")));
  EXPECT_REFUSED(grant(writes, trust_of(TrustLevel::Community),
                       policy_of("can_access_filesystem = true\nread = [\"/srv\"]")),
                 Code::ConsentNeeded, "write /srv/a");
}

TEST(Grant, AManifestsOwnDefaultOfASettingIsNoConsent) {
  const auto asked = metadata_of("[capabilities]\ncan_access_filesystem = true\n[acl]\nread = "
                                 "[\"${input}\"]\n[config]\ninput = "
                                 "\"/etc/shadow\"\n");
  EXPECT_REFUSED(
      grant(asked, trust_of(TrustLevel::Community), policy_of("can_access_filesystem = true")),
      Code::ConsentNeeded, "read /etc/shadow");
}

TEST(Grant, ASubstitutedPathMustBeNormal) {
  EXPECT_REFUSED(grant(metadata_of(kReader), trust_of(TrustLevel::Community),
                       policy_of("can_access_filesystem = true\nread = "
                                 "[\"/usr/share\"]\n[config]\ninput = \"/srv/../etc\"")),
                 Code::Invalid, "reader.toml: config.input = \"/srv/../etc\"");
}

TEST(Grant, TheCeilingIsSaidToBeTheKeys) {
  const auto asked = metadata_of("[capabilities]\ncan_create_processes = true\n");
  const auto policy = policy_of("can_create_processes = true");
  const auto refused =
      grant(asked, trust_of(TrustLevel::Community), policy, "/etc/mohhos/trust.toml");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::ConsentNeeded);
  for (const auto* words :
       {"the ceiling of its signer, key 0000000000000000 (community)", "/etc/mohhos/trust.toml",
        "[keys.0000000000000000]", "\"can_create_processes\""})
    EXPECT_NE(refused.error().text.find(words), std::string::npos)
        << words << "\nin: " << refused.error().text;
  EXPECT_TRUE(grant(asked, trust_of(TrustLevel::Verified), policy));
  const std::string& text = refused.error().text;
  const auto trust = parse_trust(text.substr(text.find('\n')), "trust.toml");
  ASSERT_TRUE(trust) << trust.error().text;
  EXPECT_TRUE(grant(asked, trust->of(PublicKey{}).value(), policy));
}

TEST(Grant, CustomBitsNeedBothToo) {
  const auto asked = metadata_of("[capabilities]\ncustom_capabilities = 5\n");
  EXPECT_REFUSED(
      grant(asked, trust_of(TrustLevel::Community), policy_of("custom_capabilities = 1")),
      Code::ConsentNeeded, "custom:2");
  EXPECT_EQ(grant(asked, trust_of(TrustLevel::Community), policy_of("custom_capabilities = 7"))
                ->capabilities.custom,
            5U);
}

TEST(Grant, WhatThisVersionCannotBrokerIsSaidToBeThat) {
  for (const auto* capability : {"can_access_network", "can_modify_system_config"})
    EXPECT_REFUSED(grant(metadata_of(fmt::format("[capabilities]\n{} = true\n", capability)),
                         trust_of(TrustLevel::System),
                         policy_of(fmt::format("{} = true", capability))),
                   Code::ConsentNeeded, "not available in this version");
}

TEST(Grant, AKeyMaySignOnlyItsNames) {
  KeyTrust trust = trust_of(TrustLevel::Community);
  trust.names = {"acme-*", "rea"};
  EXPECT_REFUSED(grant(metadata_of(""), trust, policy_of("")), Code::Untrusted,
                 "may not sign a plugin of the name reader");
  trust.names = {"rea*"};
  EXPECT_TRUE(grant(metadata_of(""), trust, policy_of("")));
}

TEST(Grant, ASettingThatThePluginDoesNotHaveIsAMistake) {
  EXPECT_REFUSED(grant(metadata_of(kReader), trust_of(TrustLevel::Community),
                       policy_of("[config]\ninptu = \"/a\"")),
                 Code::Invalid, "did you mean 'input'?");
}

TEST(Policy, SurvivesItsFile) {
  OperatorPolicy policy = policy_of("");
  GrantRequest request{.capabilities = {"can_create_processes", "custom:31"},
                       .read = {"/usr/share", "/a \"b\" \\c"},
                       .write = {"/srv"},
                       .devices = {"/dev/dri"},
                       .config = {{"input", "/x"}, {"dotted.key", "two\nlines\tand \"quotes\""}},
                       .limits = {{"max_memory_mb", 32}}};
  const auto wanted = with_request(policy, request);
  ASSERT_TRUE(wanted) << wanted.error().text;
  const auto read = parse_policy(render_policy(*wanted), kFile);
  ASSERT_TRUE(read) << read.error().text << render_policy(*wanted);
  EXPECT_EQ(render_policy(*read), render_policy(*wanted));
  EXPECT_TRUE(read->capabilities.has(Capability::Filesystem)); // implied by its paths
  EXPECT_TRUE(read->capabilities.has(Capability::Hardware));
  EXPECT_EQ(read->capabilities.custom, 0x80000000U);
  EXPECT_EQ(read->read, request.read);
  EXPECT_EQ(read->config.at("dotted.key"), "two\nlines\tand \"quotes\"");
  EXPECT_EQ(read->limits.at("max_memory_mb"), 32U);
}

TEST(Policy, WrongRequestsAreRefused) {
  EXPECT_REFUSED(with_request({}, {.capabilities = {"can_fly"}}), Code::Invalid,
                 "'can_fly' is no capability: one of can_access");
  EXPECT_REFUSED(with_request({}, {.capabilities = {"custom:32"}}), Code::Invalid, "custom:32");
  EXPECT_REFUSED(with_request({}, {.read = {"relative"}}), Code::Invalid, "absolute");
  EXPECT_REFUSED(with_request({}, {.limits = {{"max_memory", 1}}}), Code::Invalid,
                 "'max_memory' is no limit");
}

TEST(Policy, MistakesNameFileAndLine) {
  EXPECT_REFUSED(parse_policy("\nraed = []", kFile), Code::Invalid,
                 "reader.toml:2: unknown key 'raed'; did you mean 'read'?");
  EXPECT_REFUSED(parse_policy("\n\nread = [\"x\"]", kFile), Code::Invalid,
                 "reader.toml:3: read[0] = \"x\"");
  EXPECT_REFUSED(parse_policy("[limits]\nmax_memory_mb = 0", kFile), Code::Invalid,
                 "reader.toml:2: limits.max_memory_mb = 0");
}

TEST(Policy, FileIsUpdatedInItsDirectory) {
  const TemporaryDirectory directory;
  const auto grants = directory.path() / "grants.d";
  EXPECT_EQ(read_policy(grants, "reader")->file, grants / "reader.toml");
  ASSERT_TRUE(update_policy(grants, "reader", {.read = {"/usr/share"}}));
  ASSERT_TRUE(update_policy(grants, "reader", {.read = {"/opt"}}));
  EXPECT_EQ(read_policy(grants, "reader")->read, (std::vector<std::string>{"/usr/share", "/opt"}));
  EXPECT_REFUSED(read_policy(grants, "../reader"), Code::Invalid, "no plugin's name");
  std::filesystem::permissions(grants / "reader.toml", std::filesystem::perms{0666});
  EXPECT_REFUSED(read_policy(grants, "reader"), Code::Untrusted, "may be written by others");
}

} // namespace
} // namespace mohhos::security
