#include "security/minisign.hpp"

#include <algorithm>

#include "security/minisign_text.hpp"
#include "support.hpp"

namespace mohhos::security {
namespace {

class SignatureTest : public ::testing::Test {
protected:
  SecretKey secret_ = generate_key();
  PublicKey key_ = secret_.public_key();
  std::string bytes_ = "the bytes of a plugin";
  std::string file_ = sign(secret_, as_bytes(bytes_), "name:ocr version:1.2.3");

  Result<> check(std::string_view file, const PublicKey& key, std::string_view bytes) {
    auto parsed = parse_signature(file);
    if (!parsed) return std::unexpected(parsed.error());
    return verify_signature(*parsed, key, blake2b(as_bytes(bytes)));
  }
  // The file with line n (from 1) replaced.
  std::string with_line(int n, std::string_view text) {
    std::string out;
    std::string_view rest = file_;
    for (int i = 1; auto line = take_line(rest); ++i)
      out += std::string(i == n ? text : *line) + "\n";
    return out;
  }
  std::string line(int n) {
    std::string_view rest = file_;
    std::optional<std::string_view> found;
    for (int i = 0; i < n; ++i) found = take_line(rest);
    return std::string(found.value());
  }
};

TEST_F(SignatureTest, HoldsForItsBytesItsCommentAndItsKey) {
  const auto checked = check(file_, key_, bytes_);
  EXPECT_TRUE(checked) << checked.error().text;
  EXPECT_EQ(parse_signature(file_)->trusted_comment, "name:ocr version:1.2.3");
}

TEST_F(SignatureTest, ChangedBytesAreCalledThat) {
  for (std::size_t i = 0; i < bytes_.size(); ++i) {
    std::string changed = bytes_;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_REFUSED(check(file_, key_, changed), Code::Untrusted,
                   "the file's bytes are not the ones");
  }
  EXPECT_REFUSED(check(file_, key_, bytes_ + "\n"), Code::Untrusted,
                 "the file's bytes are not the ones");
  EXPECT_REFUSED(check(file_, key_, ""), Code::Untrusted, "the file's bytes are not the ones");
}

TEST_F(SignatureTest, AChangedCommentIsCalledThat) {
  EXPECT_REFUSED(check(with_line(3, "trusted comment: name:ocr version:9.9.9"), key_, bytes_),
                 Code::Untrusted, "the comment");
  EXPECT_REFUSED(check(with_line(3, "trusted comment: "), key_, bytes_), Code::Untrusted,
                 "the comment");
}

TEST_F(SignatureTest, TheUntrustedCommentMayChange) {
  EXPECT_TRUE(check(with_line(1, "untrusted comment: whatever"), key_, bytes_));
}

TEST_F(SignatureTest, AnotherKeyWithTheSameIdIsTheWrongKey) {
  PublicKey twin = generate_key().public_key();
  twin.id = key_.id;
  EXPECT_REFUSED(check(file_, twin, bytes_), Code::Untrusted, "wrong key");
}

TEST_F(SignatureTest, AnotherIdIsNamedWithBothIds) {
  const PublicKey other = generate_key().public_key();
  EXPECT_REFUSED(check(file_, other, bytes_), Code::Untrusted, to_string(key_.id));
  EXPECT_REFUSED(check(file_, other, bytes_), Code::Untrusted, to_string(other.id));
}

TEST_F(SignatureTest, LegacyHasItsOwnSentence) {
  std::array<std::uint8_t, 74> bytes{};
  ASSERT_TRUE(decode_base64(line(2), bytes));
  bytes[1] = 'd';
  EXPECT_REFUSED(parse_signature(with_line(2, encode_base64(bytes))), Code::Untrusted, "legacy");
}

TEST_F(SignatureTest, AMalformedFileNamesTheLine) {
  EXPECT_REFUSED(parse_signature(""), Code::Untrusted, "line 1");
  EXPECT_REFUSED(parse_signature(with_line(1, "no comment")), Code::Untrusted, "line 1");
  EXPECT_REFUSED(parse_signature(with_line(2, "AAAA")), Code::Untrusted, "line 2");
  EXPECT_REFUSED(parse_signature(with_line(3, "comment: x")), Code::Untrusted, "line 3");
  EXPECT_REFUSED(parse_signature(with_line(4, "")), Code::Untrusted, "line 4");
  EXPECT_REFUSED(parse_signature(file_.substr(0, file_.size() / 2)), Code::Untrusted, "line");
  EXPECT_REFUSED(parse_signature(std::string(4096, 'A')), Code::Untrusted, "the limit is 2048");
}

TEST_F(SignatureTest, AnyFlippedBitOfTheSecondAndFourthLineIsRefused) {
  for (const int number : {2, 4}) {
    const std::string original = line(number);
    for (std::size_t i = 0; i < original.size(); ++i) {
      for (int bit = 0; bit < 8; ++bit) {
        std::string changed = original;
        changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
        EXPECT_FALSE(check(with_line(number, changed), key_, bytes_))
            << "line " << number << " byte " << i;
      }
    }
  }
}

// S is a number below the group's order L; S + L would satisfy the equation as well.
TEST_F(SignatureTest, IsNotMalleable) {
  const auto order =
      from_hex<32>("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
  auto parsed = parse_signature(file_).value();
  unsigned carry = 0;
  for (std::size_t i = 0; i < 32; ++i) {
    carry += unsigned{parsed.over_hash[32 + i]} + order[i];
    parsed.over_hash[32 + i] = static_cast<std::uint8_t>(carry);
    carry >>= 8;
  }
  EXPECT_FALSE(verify_signature(parsed, key_, blake2b(as_bytes(bytes_))));
}

// RFC 8032, section 7.1, 'TEST SHA(abc)': its message has the 64 bytes that a hash has here.
TEST(Ed25519, AgreesWithRfc8032) {
  const auto hash =
      from_hex<64>("ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                   "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
  PublicKey key;
  key.point = from_hex<32>("ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf");
  Signature signature;
  signature.over_hash =
      from_hex<64>("dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
                   "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704");
  const auto seed =
      from_hex<32>("833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42");
  std::array<std::uint8_t, 158> file{'E', 'd', 0, 0, 'B', '2'};
  std::array<std::uint8_t, 64> pair{};
  std::ranges::copy(seed, pair.begin());
  std::ranges::copy(key.point, pair.begin() + 32);
  std::ranges::copy(pair, file.begin() + 62);
  const auto secret = parse_secret_key(encode_base64(file));
  ASSERT_TRUE(secret) << secret.error().text;
  EXPECT_EQ(secret->public_key(), key);
  // The message's signature holds; the file's other one was never made, and that is what is found
  // wrong.
  EXPECT_REFUSED(verify_signature(signature, key, hash), Code::Untrusted, "the comment");
}

} // namespace
} // namespace mohhos::security
