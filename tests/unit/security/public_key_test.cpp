#include "security/minisign.hpp"

#include <algorithm>

#include "security/minisign_text.hpp"
#include "support.hpp"

namespace mohhos::security {
namespace {

// A .pub line with any 32 bytes in the place of the point.
std::string key_line(std::string_view point_hex) {
  std::array<std::uint8_t, 42> bytes{'E', 'd', 1, 2, 3, 4, 5, 6, 7, 8};
  std::ranges::copy(from_hex<32>(point_hex), bytes.begin() + 10);
  return encode_base64(bytes);
}

// Found by multiplying curve points by the order of the base point: what is left are the eight
// points of low order, and the encodings of the same points that are not canonical.
constexpr std::string_view kLowOrder[] = {
    "0100000000000000000000000000000000000000000000000000000000000000",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
};
// The base point plus a point of order eight; canonical, on the curve, and still not a key.
constexpr std::string_view kMixedOrder[] = {
    "13661d745ad63221ca5da0456fa618713511dc60668aa464e55b09a20ff7fc1d"};
// y of other points, plus the field's prime.
constexpr std::string_view kNotCanonical[] = {
    "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "f1ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "f6ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};
constexpr std::string_view kOffTheCurve[] = {
    "0700000000000000000000000000000000000000000000000000000000000000",
    "0800000000000000000000000000000000000000000000000000000000000000",
};

class BadPoint : public ::testing::TestWithParam<std::string_view> {};
TEST_P(BadPoint, IsRefusedAtImport) {
  EXPECT_REFUSED(parse_public_key(key_line(GetParam())), Code::Untrusted, "no usable");
}
INSTANTIATE_TEST_SUITE_P(LowOrder, BadPoint, ::testing::ValuesIn(kLowOrder));
INSTANTIATE_TEST_SUITE_P(MixedOrder, BadPoint, ::testing::ValuesIn(kMixedOrder));
INSTANTIATE_TEST_SUITE_P(NotCanonical, BadPoint, ::testing::ValuesIn(kNotCanonical));
INSTANTIATE_TEST_SUITE_P(OffTheCurve, BadPoint, ::testing::ValuesIn(kOffTheCurve));

TEST(PublicKey, SurvivesItsFile) {
  const PublicKey key = generate_key().public_key();
  EXPECT_EQ(parse_public_key(format_public_key(key)).value(), key);
  EXPECT_EQ(parse_public_key(encode_public_key(key)).value(), key);
}

TEST(PublicKey, IdIsPrintedAsMinisignPrintsIt) {
  // Written by minisign 0.11: the comment names the id that the bytes have.
  const auto key = parse_public_key("untrusted comment: minisign public key B08A12725892A293\n"
                                    "RWSTopJYchKKsJj2hqziUF2tvjb2XdPR6z9U1polt3D4u8r776Ft6BvN\n");
  ASSERT_TRUE(key) << key.error().text;
  EXPECT_EQ(to_string(key->id), "B08A12725892A293");
  EXPECT_EQ(parse_key_id("b08a12725892a293").value(), key->id);
}

TEST(PublicKey, AnIdHasSixteenHexadecimalDigits) {
  for (const auto* text : {"", "B08A12725892A29", "B08A12725892A2933", "B08A12725892A29G",
                           "0xB08A12725892A2", "B0 8A12725892A293"})
    EXPECT_REFUSED(parse_key_id(text), Code::Invalid, "not a key id");
}

TEST(PublicKey, AnythingElseIsNoKey) {
  const std::string line = encode_public_key(generate_key().public_key());
  EXPECT_REFUSED(parse_public_key(""), Code::Untrusted, "not a minisign public key");
  EXPECT_REFUSED(parse_public_key("untrusted comment: alone\n"), Code::Untrusted,
                 "not a minisign public key");
  EXPECT_REFUSED(parse_public_key(line.substr(0, 55)), Code::Untrusted,
                 "not a minisign public key");
  EXPECT_REFUSED(parse_public_key(line + "A"), Code::Untrusted, "not a minisign public key");
  EXPECT_REFUSED(parse_public_key(" " + line), Code::Untrusted, "not a minisign public key");
  std::string other = line;
  other[1] = 'X';
  EXPECT_REFUSED(parse_public_key(other), Code::Untrusted, "unknown algorithm");
}

} // namespace
} // namespace mohhos::security
