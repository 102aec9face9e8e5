#include "security/minisign_text.hpp"

#include <algorithm>

#include <sodium.h>

namespace mohhos::security {
namespace {

constexpr bool is_base64(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
         c == '/' || c == '=';
}

} // namespace

// libsodium 1.0.18 takes the byte 0xAF for '/' (and so on: its comparison loses the upper bits of a
// signed char); minisign does not, and neither do we.

bool decode_base64(std::string_view text, std::span<std::uint8_t> bytes) {
  if (!std::ranges::all_of(text, is_base64)) return false;
  std::size_t decoded = 0;
  return sodium_base642bin(bytes.data(), bytes.size(), text.data(), text.size(), nullptr, &decoded,
                           nullptr, sodium_base64_VARIANT_ORIGINAL) == 0 &&
         decoded == bytes.size();
}

std::string encode_base64(std::span<const std::uint8_t> bytes) {
  std::string text(sodium_base64_encoded_len(bytes.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
  sodium_bin2base64(text.data(), text.size(), bytes.data(), bytes.size(),
                    sodium_base64_VARIANT_ORIGINAL);
  text.pop_back(); // the terminator
  return text;
}

std::optional<std::string_view> take_line(std::string_view& rest) {
  if (rest.empty()) return std::nullopt;
  const std::size_t end = rest.find('\n');
  std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

} // namespace mohhos::security
