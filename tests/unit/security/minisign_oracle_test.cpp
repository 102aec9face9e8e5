// Debian's minisign as the judge: what it says of a file, ours says too.
#include <random>

#include "security/minisign.hpp"
#include "support.hpp"

namespace mohhos::security {
namespace {

class MinisignOracle : public ::testing::Test {
protected:
  TemporaryDirectory directory_;
  std::string in(const char* name) { return directory_.path() / name; }

  void SetUp() override {
    if (!has_minisign()) GTEST_SKIP() << "minisign is not installed";
    write(in("f"), "some bytes to sign\n");
  }
  int minisign_verifies(const char* key = "k.pub") {
    return run("minisign -V -q -p " + in(key) + " -m " + in("f") + " -x " + in("f.minisig"));
  }
  bool ours_verifies(const char* key = "k.pub") {
    const auto public_key = read_public_key(in(key));
    const auto signature = parse_signature(content(in("f.minisig")));
    return public_key && signature &&
           verify_signature(*signature, *public_key, blake2b(as_bytes(content(in("f")))));
  }
};

TEST_F(MinisignOracle, VerifiesWhatWeSign) {
  const SecretKey key = generate_key();
  ASSERT_TRUE(write_key_pair(key, in("k.key"), in("k.pub")));
  write(in("f.minisig"), sign(key, as_bytes(content(in("f"))), "name:f\tversion:1"));
  EXPECT_EQ(minisign_verifies(), 0);
}

TEST_F(MinisignOracle, SignsWithTheKeyThatWeWrite) {
  ASSERT_TRUE(write_key_pair(generate_key(), in("k.key"), in("k.pub")));
  ASSERT_EQ(run("minisign -S -s " + in("k.key") + " -m " + in("f")), 0);
  EXPECT_EQ(minisign_verifies(), 0);
  EXPECT_TRUE(ours_verifies());
}

TEST_F(MinisignOracle, KeysAndSignaturesOfItsOwnAreReadHere) {
  ASSERT_EQ(run("minisign -G -W -p " + in("k.pub") + " -s " + in("k.key")), 0);
  ASSERT_EQ(run("minisign -S -s " + in("k.key") + " -m " + in("f")), 0);
  EXPECT_TRUE(ours_verifies());
  std::filesystem::permissions(in("k.key"), std::filesystem::perms{0600});
  const auto secret = read_secret_key(in("k.key"));
  ASSERT_TRUE(secret) << secret.error().text;
  EXPECT_EQ(secret->public_key(), read_public_key(in("k.pub")).value());
}

TEST_F(MinisignOracle, ItsLegacySignaturesAreRefusedHere) {
  ASSERT_EQ(run("minisign -G -W -p " + in("k.pub") + " -s " + in("k.key")), 0);
  ASSERT_EQ(run("minisign -S -l -s " + in("k.key") + " -m " + in("f")), 0);
  EXPECT_REFUSED(parse_signature(content(in("f.minisig"))), Code::Untrusted, "legacy");
}

TEST_F(MinisignOracle, JudgesMutatedSignatureFilesAsWeDo) {
  const SecretKey key = generate_key();
  ASSERT_TRUE(write_key_pair(key, in("k.key"), in("k.pub")));
  const std::string original = sign(key, as_bytes(content(in("f"))), "a comment");
  std::mt19937 random(20);
  const auto below = [&random](std::size_t n) {
    return std::uniform_int_distribution<std::size_t>(0, n - 1)(random);
  };
  int accepted = 0;
  for (int round = 0; round < 300; ++round) {
    std::string mutated = original;
    switch (round % 5) {
    case 0: mutated[below(mutated.size())] = static_cast<char>(below(256)); break;
    case 1: mutated[below(mutated.size())] ^= static_cast<char>(1U << below(8)); break;
    case 2: mutated.resize(below(mutated.size())); break;
    case 3: mutated.insert(below(mutated.size()), 1, "\n\r A=+"[below(6)]); break;
    case 4: mutated.erase(below(mutated.size()), 1); break;
    }
    write(in("f.minisig"), mutated);
    EXPECT_EQ(ours_verifies(), minisign_verifies() == 0) << "round " << round << ":\n" << mutated;
    accepted += ours_verifies() ? 1 : 0;
  }
  EXPECT_GT(accepted, 0); // in the untrusted comment
  EXPECT_LT(accepted, 150);
}

TEST_F(MinisignOracle, JudgesMutatedKeyFilesAsWeDo) {
  const SecretKey key = generate_key();
  ASSERT_TRUE(write_key_pair(key, in("k.key"), in("k.pub")));
  write(in("f.minisig"), sign(key, as_bytes(content(in("f"))), "a comment"));
  const std::string original = content(in("k.pub"));
  std::mt19937 random(21);
  const std::size_t start = original.find('\n') + 1;
  for (int round = 0; round < 100; ++round) {
    std::string mutated = original;
    const std::size_t at =
        start + std::uniform_int_distribution<std::size_t>(0, mutated.size() - start - 1)(random);
    mutated[at] ^= static_cast<char>(1U << std::uniform_int_distribution<unsigned>(0, 7)(random));
    write(in("m.pub"), mutated);
    EXPECT_EQ(ours_verifies("m.pub"), minisign_verifies("m.pub") == 0) << "round " << round << ":\n"
                                                                       << mutated;
  }
}

} // namespace
} // namespace mohhos::security
