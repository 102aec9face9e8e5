// Two things that toml++ 3.3 must not be given, found by fuzzing:
//  - a.a.a.a… makes a table in a table for every dot, and freeing them recurses once for each: 64
//  KiB of dots
//    would be 32,000 deep;
//  - a character beyond ASCII outside of quotes and comments (which TOML does not allow) can reach
//  code that it
//    declares unreachable.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace mohhos::security {

inline constexpr std::size_t kDeepestKey = 16;

struct TomlObjection {
  unsigned line = 0;
  std::string_view what;
};
// The first objection to a text, without parsing it. [pure]
[[nodiscard]] std::optional<TomlObjection> guard_toml(std::string_view text);

} // namespace mohhos::security
