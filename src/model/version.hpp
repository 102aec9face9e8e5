// Versions and ranges of versions: "1.4.2", at most 15 characters (US-004's char[16]), missing
// parts are 0.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace mohhos::model {

struct Version {
  std::uint32_t major = 0;
  std::uint32_t minor = 0;
  std::uint32_t patch = 0;
  friend constexpr auto operator<=>(const Version&, const Version&) = default;
};

// "1", "1.4", "1.4.2": digits and dots, no sign, no leading zeros but "0", each part below 2^31.
// Invalid names the text. [pure]
[[nodiscard]] Result<Version> parse_version(std::string_view text);
[[nodiscard]] std::string to_string(const Version& version);

// US-004's dependency_t: both ends inclusive. An empty text in the manifest is no bound at that
// end.
struct VersionRange {
  Version min{};
  Version max{UINT32_MAX, UINT32_MAX, UINT32_MAX};
  [[nodiscard]] constexpr bool contains(const Version& v) const { return min <= v && v <= max; }
};
// ">= 2.1, <= 3.0", or "any version". [pure]
[[nodiscard]] std::string to_string(const VersionRange& range);

} // namespace mohhos::model
