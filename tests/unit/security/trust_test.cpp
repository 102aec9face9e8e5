#include "security/trust.hpp"

#include "support.hpp"

namespace mohhos::security {
namespace {

using model::Capability;
using model::TrustLevel;

const PublicKey kKey =
    parse_public_key("RWSTopJYchKKsJj2hqziUF2tvjb2XdPR6z9U1polt3D4u8r776Ft6BvN").value();

Result<KeyTrust> trust_in(std::string_view text) {
  auto trust = parse_trust(text, "trust.toml");
  if (!trust) return std::unexpected(trust.error());
  return trust->of(kKey);
}

TEST(Trust, AKeyWithoutAnEntryIsCommunity) {
  const auto trust = trust_in("");
  ASSERT_TRUE(trust) << trust.error().text;
  EXPECT_EQ(trust->level, TrustLevel::Community);
  EXPECT_TRUE(trust->ceiling.has(Capability::Filesystem));
  EXPECT_FALSE(trust->ceiling.has(Capability::CreateProcesses));
  EXPECT_FALSE(trust->ceiling.has(Capability::Hardware));
  EXPECT_FALSE(trust->ceiling.has(Capability::Network));
}

TEST(Trust, AnEntrySaysLevelCeilingCustomAndNames) {
  const auto trust = trust_in(
      "[keys.b08a12725892a293]\nlevel = \"verified\"\nceiling = [\"can_access_filesystem\"]\n"
      "custom = 0xFF\nnames = [\"acme-*\", \"ocr\"]\n");
  ASSERT_TRUE(trust) << trust.error().text;
  EXPECT_EQ(trust->level, TrustLevel::Verified);
  EXPECT_EQ(trust->ceiling.bits, 1U);
  EXPECT_EQ(trust->ceiling.custom, 0xFFU);
  EXPECT_EQ(trust->names.size(), 2U);
}

TEST(Trust, AnEmptyCeilingIsNotAnAbsentOne) {
  EXPECT_EQ(trust_in("[keys.B08A12725892A293]\nceiling = []\n")->ceiling.bits, 0U);
  EXPECT_EQ(trust_in("[keys.B08A12725892A293]\ncustom = 0\n")->ceiling.custom, 0U);
  EXPECT_EQ(trust_in("[keys.B08A12725892A293]\nlevel = \"system\"\n")->ceiling,
            model::kAllCapabilities);
}

TEST(Trust, LevelNoneRetiresAKey) {
  EXPECT_REFUSED(trust_in("[keys.B08A12725892A293]\nlevel = \"none\"\n"), Code::Untrusted,
                 "not trusted any more");
}

TEST(Trust, AnEntryMayPinTheWholeKey) {
  EXPECT_TRUE(trust_in("[keys.B08A12725892A293]\nkey = "
                       "\"RWSTopJYchKKsJj2hqziUF2tvjb2XdPR6z9U1polt3D4u8r776Ft6BvN\"\n"));
  PublicKey twin = generate_key().public_key();
  twin.id = kKey.id;
  EXPECT_REFUSED(
      trust_in(fmt::format("[keys.B08A12725892A293]\nkey = \"{}\"\n", encode_public_key(twin))),
      Code::Untrusted, "another key of the id");
  EXPECT_REFUSED(trust_in(fmt::format("[keys.B08A12725892A293]\nkey = \"{}\"\n",
                                      encode_public_key(generate_key().public_key()))),
                 Code::Invalid, "a key of this id");
}

TEST(Trust, MistakesNameFileAndLine) {
  EXPECT_REFUSED(trust_in("[keys.B08A]\n"), Code::Invalid, "trust.toml:1: 'B08A' is not a key id");
  EXPECT_REFUSED(trust_in("[keys.B08A12725892A293]\nlevel = \"high\"\n"), Code::Invalid,
                 "trust.toml:2: keys.B08A12725892A293.level = \"high\": it must be none, "
                 "community, verified or system");
  EXPECT_REFUSED(trust_in("[keys.B08A12725892A293]\nceiling = [\"fly\"]\n"), Code::Invalid,
                 "trust.toml:2: keys.B08A12725892A293.ceiling[0]");
  EXPECT_REFUSED(trust_in("[keys.B08A12725892A293]\nnames = [\"*x\"]\n"), Code::Invalid,
                 "names[0]");
  EXPECT_REFUSED(trust_in("[keys.B08A12725892A293]\nlevle = \"\"\n"), Code::Invalid,
                 "did you mean 'level'?");
  EXPECT_REFUSED(trust_in("[keys.B08A12725892A293]\n[keys.b08a12725892a293]\n"), Code::Invalid,
                 "two entries");
}

TEST(Trust, AnAbsentFileIsNoEntries) {
  const TemporaryDirectory directory;
  EXPECT_TRUE(read_trust(directory.path() / "trust.toml")->entries.empty());
  write(directory.path() / "trust.toml", "");
  EXPECT_TRUE(read_trust(directory.path() / "trust.toml"));
  std::filesystem::permissions(directory.path() / "trust.toml", std::filesystem::perms{0664});
  EXPECT_REFUSED(read_trust(directory.path() / "trust.toml"), Code::Untrusted,
                 "may be written by others");
}

} // namespace
} // namespace mohhos::security
