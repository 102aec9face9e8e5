// What a plugin may be called.
#pragma once

#include <string_view>

namespace mohhos::model {

inline constexpr std::size_t kLongestName = 63; // US-004's char name[64]

// [a-z0-9][a-z0-9_-]*, at most kLongestName characters: the name is also a file's and a cgroup's.
// [pure]
[[nodiscard]] constexpr bool is_plugin_name(std::string_view text) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (text.empty() || text.size() > kLongestName || !plain(text.front())) return false;
  for (const char c : text)
    if (!plain(c) && c != '_' && c != '-') return false;
  return true;
}

} // namespace mohhos::model
