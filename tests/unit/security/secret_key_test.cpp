#include "security/minisign.hpp"

#include <algorithm>

#include <sys/stat.h>

#include <sodium.h>

#include "security/minisign_text.hpp"
#include "support.hpp"

namespace mohhos::security {
namespace {

class SecretKeyFile : public ::testing::Test {
protected:
  TemporaryDirectory directory_;
  std::string secret_path_ = directory_.path() / "a.key";
  std::string public_path_ = directory_.path() / "a.pub";
};

TEST_F(SecretKeyFile, IsReadBack) {
  const SecretKey key = generate_key();
  ASSERT_TRUE(write_key_pair(key, secret_path_, public_path_));
  EXPECT_EQ(read_secret_key(secret_path_)->public_key(), key.public_key());
  EXPECT_EQ(read_public_key(public_path_).value(), key.public_key());
}

TEST_F(SecretKeyFile, IsOnlyItsOwners) {
  ASSERT_TRUE(write_key_pair(generate_key(), secret_path_, public_path_));
  struct stat status{};
  ASSERT_EQ(::stat(secret_path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0600U);
  ASSERT_EQ(::chmod(secret_path_.c_str(), 0640), 0);
  EXPECT_REFUSED(read_secret_key(secret_path_), Code::Denied, "chmod 600");
}

TEST_F(SecretKeyFile, NeverOverwritesAKey) {
  ASSERT_TRUE(write_key_pair(generate_key(), secret_path_, public_path_));
  const std::string before = content(secret_path_);
  EXPECT_REFUSED(write_key_pair(generate_key(), secret_path_, public_path_), Code::Exists, "a.pub");
  std::filesystem::remove(public_path_);
  EXPECT_REFUSED(write_key_pair(generate_key(), secret_path_, public_path_), Code::Exists, "a.key");
  EXPECT_EQ(content(secret_path_), before);
}

TEST_F(SecretKeyFile, APublicHalfOfAnotherKeyIsDamage) {
  std::array<std::uint8_t, 158> file{};
  std::string_view text;
  const std::string formatted = format_secret_key(generate_key());
  text = formatted;
  (void)take_line(text);
  ASSERT_TRUE(decode_base64(*take_line(text), file));
  file[62 + 40] ^= 1;
  EXPECT_REFUSED(parse_secret_key(encode_base64(file)), Code::Untrusted, "damaged");
}

TEST_F(SecretKeyFile, AnAbsurdCostOfDecryptionIsRefusedBeforeItIsPaid) {
  std::array<std::uint8_t, 158> file{'E', 'd', 'S', 'c', 'B', '2'};
  std::fill_n(file.begin() + 46, 8, std::uint8_t{0x7F});
  EXPECT_REFUSED(parse_secret_key(encode_base64(file), [] { return "x"; }), Code::TooLarge,
                 "memory");
}

// As minisign encrypts, but with the cheapest scrypt, so that the test takes no second and no
// gigabyte.
TEST_F(SecretKeyFile, IsDecryptedWithItsPassword) {
  std::array<std::uint8_t, 158> file{};
  const SecretKey key = generate_key();
  const std::string formatted = format_secret_key(key);
  std::string_view text = formatted;
  (void)take_line(text);
  ASSERT_TRUE(decode_base64(*take_line(text), file));
  file[2] = 'S';
  file[3] = 'c';
  const std::uint64_t operations = crypto_pwhash_scryptsalsa208sha256_OPSLIMIT_MIN;
  const std::uint64_t memory = crypto_pwhash_scryptsalsa208sha256_MEMLIMIT_MIN;
  std::memcpy(file.data() + 38, &operations, 8);
  std::memcpy(file.data() + 46, &memory, 8);
  crypto_generichash_state state;
  crypto_generichash_init(&state, nullptr, 0, 32);
  crypto_generichash_update(&state, file.data(), 2);
  crypto_generichash_update(&state, file.data() + 54, 72);
  crypto_generichash_final(&state, file.data() + 126, 32);
  std::array<std::uint8_t, 104> stream{};
  ASSERT_EQ(crypto_pwhash_scryptsalsa208sha256(stream.data(), stream.size(), "secret", 6,
                                               file.data() + 6, operations, memory),
            0);
  for (std::size_t i = 0; i < stream.size(); ++i) file[54 + i] ^= stream[i];
  const std::string encrypted = encode_base64(file);

  const auto opened = parse_secret_key(encrypted, [] { return "secret"; });
  ASSERT_TRUE(opened) << opened.error().text;
  EXPECT_EQ(opened->public_key(), key.public_key());
  EXPECT_REFUSED(parse_secret_key(encrypted, [] { return "wrong"; }), Code::Denied,
                 "wrong password");
  EXPECT_REFUSED(parse_secret_key(encrypted), Code::Denied, "nobody to ask");
}

} // namespace
} // namespace mohhos::security
