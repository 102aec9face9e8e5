// The text of minisign's files: lines, and base64 with the standard alphabet, padded, no spare
// bits, no spaces.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace mohhos::security {

// Exactly `bytes.size()` bytes, or false (and `bytes` is unspecified). [pure]
[[nodiscard]] bool decode_base64(std::string_view text, std::span<std::uint8_t> bytes);
[[nodiscard]] std::string encode_base64(std::span<const std::uint8_t> bytes);

// The next line of `rest`, which is moved past it; a carriage return before the line end is not
// part of it. Nothing: there is no more. [pure]
[[nodiscard]] std::optional<std::string_view> take_line(std::string_view& rest);

inline constexpr std::string_view kUntrustedPrefix = "untrusted comment: ";
inline constexpr std::string_view kTrustedPrefix = "trusted comment: ";

} // namespace mohhos::security
