#include "security/keyring.hpp"

#include <unistd.h>

#include "security/image.hpp"
#include "support.hpp"

namespace mohhos::security {
namespace {

class KeyringTest : public ::testing::Test {
protected:
  TemporaryDirectory directory_;
  std::filesystem::path keys_ = directory_.path() / "keys.d";
  SecretKey secret_ = generate_key();

  void SetUp() override {
    std::filesystem::create_directory(keys_);
    std::filesystem::permissions(keys_, std::filesystem::perms{0755});
  }
  void add(const char* name, const PublicKey& key) { write(keys_ / name, format_public_key(key)); }
  Keyring open() { return Keyring::open(keys_).value(); }
  std::string only_problem(const Keyring& keyring) {
    EXPECT_EQ(keyring.problems().size(), 1U);
    return keyring.problems().empty() ? "" : keyring.problems()[0];
  }
};

TEST_F(KeyringTest, FindsAKeyByItsId) {
  add("a.pub", secret_.public_key());
  EXPECT_EQ(open().find(secret_.public_key().id).value(), secret_.public_key());
}

TEST_F(KeyringTest, AnUnknownKeyIsNamedWithTheDirectory) {
  add("a.pub", generate_key().public_key());
  const KeyId id = secret_.public_key().id;
  EXPECT_REFUSED(open().find(id), Code::Untrusted, to_string(id));
  EXPECT_REFUSED(open().find(id), Code::Untrusted, keys_.native());
}

TEST_F(KeyringTest, AnAbsentDirectoryIsEmpty) {
  std::filesystem::remove(keys_);
  Keyring keyring = open();
  EXPECT_TRUE(keyring.entries().empty());
  SetUp();
  add("a.pub", secret_.public_key());
  EXPECT_TRUE(keyring.refresh().value());
  EXPECT_EQ(keyring.entries().size(), 1U);
}

TEST_F(KeyringTest, OnlyPubFilesAreRead) {
  add("a.txt", secret_.public_key());
  EXPECT_TRUE(open().entries().empty());
}

TEST_F(KeyringTest, AFileThatOthersMayWriteIsLeftOutAndNamed) {
  add("a.pub", secret_.public_key());
  std::filesystem::permissions(keys_ / "a.pub", std::filesystem::perms{0664});
  const Keyring keyring = open();
  EXPECT_TRUE(keyring.entries().empty());
  EXPECT_NE(only_problem(keyring).find("a.pub may be written by others"), std::string::npos);
  EXPECT_REFUSED(keyring.find(secret_.public_key().id), Code::Untrusted,
                 "a.pub may be written by others");
}

TEST_F(KeyringTest, AFileOfSomebodyElseIsLeftOutAndNamed) {
  add("a.pub", secret_.public_key());
  if (::chown((keys_ / "a.pub").c_str(), 12345, 12345) != 0)
    GTEST_SKIP() << "only root can give files away";
  EXPECT_NE(only_problem(open()).find("belongs to uid 12345"), std::string::npos);
}

TEST_F(KeyringTest, ADirectoryThatOthersMayWriteIsRefused) {
  std::filesystem::permissions(keys_, std::filesystem::perms{0777});
  EXPECT_REFUSED(Keyring::open(keys_), Code::Untrusted, "keys.d may be written by others");
}

TEST_F(KeyringTest, TwoKeysOfOneIdAreBothLeftOutAndBothFilesNamed) {
  PublicKey twin = generate_key().public_key();
  twin.id = secret_.public_key().id;
  add("a.pub", secret_.public_key());
  add("b.pub", twin);
  add("c.pub", generate_key().public_key());
  const Keyring keyring = open();
  EXPECT_EQ(keyring.entries().size(), 1U);
  EXPECT_NE(only_problem(keyring).find("a.pub"), std::string::npos);
  EXPECT_NE(only_problem(keyring).find("b.pub"), std::string::npos);
  EXPECT_FALSE(keyring.find(twin.id));
}

TEST_F(KeyringTest, TheSameKeyTwiceIsOneKey) {
  add("a.pub", secret_.public_key());
  add("b.pub", secret_.public_key());
  const Keyring keyring = open();
  EXPECT_EQ(keyring.entries().size(), 1U);
  EXPECT_TRUE(keyring.problems().empty());
}

TEST_F(KeyringTest, OneBadFileDoesNotTakeTheOthersDown) {
  add("a.pub", secret_.public_key());
  write(keys_ / "b.pub", "nonsense");
  write(keys_ / "c.pub", std::string(5000, 'x'));
  std::filesystem::create_directory(keys_ / "d.pub");
  std::filesystem::create_symlink("/nonexistent", keys_ / "e.pub");
  const Keyring keyring = open();
  EXPECT_EQ(keyring.entries().size(), 1U);
  EXPECT_EQ(keyring.problems().size(), 4U);
}

TEST_F(KeyringTest, ARemovedKeyIsGoneAfterTheNextRefresh) {
  add("a.pub", secret_.public_key());
  Keyring keyring = open();
  ASSERT_EQ(keyring.entries().size(), 1U);
  std::filesystem::remove(keys_ / "a.pub");
  EXPECT_TRUE(keyring.refresh().value());
  EXPECT_TRUE(keyring.entries().empty());
}

// Same size, same second, same file: the change may fall into one tick of the kernel's clock.
TEST_F(KeyringTest, AKeyThatIsReplacedInPlaceIsSeen) {
  add("a.pub", secret_.public_key());
  Keyring keyring = open();
  for (int round = 0; round < 20; ++round) {
    const PublicKey next = generate_key().public_key();
    add("a.pub", next);
    ASSERT_TRUE(keyring.refresh());
    ASSERT_TRUE(keyring.find(next.id)) << "round " << round;
  }
}

class Image : public KeyringTest {
protected:
  std::string bytes_ = "the bytes";
  std::string signature_ = sign(secret_, as_bytes(bytes_), "comment\x1b[31m");
  Keyring keyring_ = [this] {
    KeyringTest::SetUp();
    add("a.pub", secret_.public_key());
    return KeyringTest::open();
  }();
  void SetUp() override {}
};

TEST_F(Image, IsVerifiedWithItsSigner) {
  auto image = verify_image(sealed(bytes_), signature_, keyring_);
  ASSERT_TRUE(image) << image.error().text;
  EXPECT_EQ(image->signer(), secret_.public_key());
  EXPECT_EQ(
      std::string(reinterpret_cast<const char*>(image->bytes().data()), image->bytes().size()),
      bytes_);
  EXPECT_EQ(image->trusted_comment(), "comment?[31m");
  EXPECT_TRUE(image->take_fd());
}

TEST_F(Image, WithoutASignatureIsUnsigned) {
  EXPECT_REFUSED(verify_image(sealed(bytes_), "", keyring_), Code::Untrusted, "not signed");
}

TEST_F(Image, OfAnUnknownKeyIsRefused) {
  EXPECT_REFUSED(verify_image(sealed(bytes_), sign(generate_key(), as_bytes(bytes_), ""), keyring_),
                 Code::Untrusted, "unknown key");
}

TEST_F(Image, WithOtherBytesIsRefused) {
  EXPECT_REFUSED(verify_image(sealed("the bytez"), signature_, keyring_), Code::Untrusted,
                 "bytes are not the ones");
}

TEST_F(Image, ThatCanStillChangeIsRefused) {
  sys::Fd open_memory = sys::make_memfd("test").value();
  EXPECT_REFUSED(verify_image(std::move(open_memory), signature_, keyring_), Code::Untrusted,
                 "seals");
  sys::Fd file(::open((keys_ / "a.pub").c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_REFUSED(verify_image(std::move(file), signature_, keyring_), Code::Untrusted, "");
}

TEST_F(Image, SignatureIsReadFromBesideTheFile) {
  EXPECT_REFUSED(read_signature_beside(directory_.path() / "p.so"), Code::Untrusted,
                 "p.so.minisig");
  write(directory_.path() / "p.so.minisig", signature_);
  EXPECT_EQ(read_signature_beside(directory_.path() / "p.so").value(), signature_);
  write(directory_.path() / "p.so.minisig", "");
  EXPECT_REFUSED(read_signature_beside(directory_.path() / "p.so"), Code::Untrusted, "empty");
  write(directory_.path() / "p.so.minisig", std::string(3000, 'x'));
  EXPECT_REFUSED(read_signature_beside(directory_.path() / "p.so"), Code::Untrusted, "2048");
}

TEST(Sha256, AgreesWithTheStandard) {
  EXPECT_EQ(sha256_hex(as_bytes("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

} // namespace
} // namespace mohhos::security
