#include "security/minisign.hpp"

#include <algorithm>

#include <sodium.h>

#include "security/minisign_text.hpp"
#include "sys/file.hpp"

namespace mohhos::security {
namespace {

// "Ed", key id, point.
constexpr std::size_t kEncodedSize = 2 + 8 + 32;

} // namespace

std::string to_string(const KeyId& id) {
  std::string text;
  for (auto byte = id.bytes.rbegin(); byte != id.bytes.rend(); ++byte)
    fmt::format_to(std::back_inserter(text), "{:02X}", *byte);
  return text;
}

Result<KeyId> parse_key_id(std::string_view text) {
  KeyId id;
  std::size_t size = 0;
  const bool hexadecimal = text.size() == 2 * id.bytes.size() &&
                           sodium_hex2bin(id.bytes.data(), id.bytes.size(), text.data(),
                                          text.size(), nullptr, &size, nullptr) == 0 &&
                           size == id.bytes.size();
  if (!hexadecimal)
    return fail(Code::Invalid,
                "'{}' is not a key id: 16 hexadecimal digits, as minisign prints them",
                text.substr(0, 40));
  std::ranges::reverse(id.bytes);
  return id;
}

Result<PublicKey> parse_public_key(std::string_view text) {
  std::string_view rest = text;
  auto line = take_line(rest);
  if (line && line->starts_with("untrusted comment:")) line = take_line(rest);
  std::array<std::uint8_t, kEncodedSize> bytes{};
  if (!line || !decode_base64(*line, bytes))
    return fail(Code::Untrusted,
                "not a minisign public key: a comment line and a line of 56 base64 characters");
  if (bytes[0] != 'E' || bytes[1] != 'd')
    return fail(Code::Untrusted, "a public key of an unknown algorithm (minisign's is Ed)");
  PublicKey key;
  std::copy_n(bytes.begin() + 2, key.id.bytes.size(), key.id.bytes.begin());
  std::copy_n(bytes.begin() + 10, key.point.size(), key.point.begin());
  if (crypto_core_ed25519_is_valid_point(key.point.data()) != 1)
    return fail(Code::Untrusted,
                "key {} is no usable Ed25519 key: its point has a low order, is not canonical, or "
                "is not on the curve",
                to_string(key.id));
  return key;
}

std::string encode_public_key(const PublicKey& key) {
  std::array<std::uint8_t, kEncodedSize> bytes{'E', 'd'};
  std::ranges::copy(key.id.bytes, bytes.begin() + 2);
  std::ranges::copy(key.point, bytes.begin() + 10);
  return encode_base64(bytes);
}

std::string format_public_key(const PublicKey& key) {
  return fmt::format("{}minisign public key {}\n{}\n", kUntrustedPrefix, to_string(key.id),
                     encode_public_key(key));
}

Result<PublicKey> read_public_key(const std::string& path) {
  TRY(const std::string text, sys::read_file(path, kLargestKeyFile));
  auto key = parse_public_key(text);
  if (!key) return std::unexpected(std::move(key).error().within(path));
  return key;
}

} // namespace mohhos::security
