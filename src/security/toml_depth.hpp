// A bound that toml++ 3.3 lacks: a.a.a.a… makes a table in a table for every dot, and freeing them
// recurses once for each. 64 KiB of dots would be 32,000 deep.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace mohhos::security {

inline constexpr std::size_t kDeepestKey = 16;

// The line of the first key with more parts than kDeepestKey; dots inside quotes do not count.
// [pure]
[[nodiscard]] std::optional<unsigned> too_deep_line(std::string_view text);

} // namespace mohhos::security
