#include "security/toml_depth.hpp"

#include <algorithm>

namespace mohhos::security {
namespace {

constexpr std::size_t kNone = std::string_view::npos;

// The position after the string that starts at `at` (a quote). One that is not closed ends at its
// line (the parser stops there), or at the end of the text.
std::size_t skip_string(std::string_view text, std::size_t at) {
  const char quote = text[at];
  const bool escapes = quote == '"';
  const bool multiline = text.substr(at, 3) == std::string_view(quote == '"' ? "\"\"\"" : "'''");
  std::size_t i = at + (multiline ? 3 : 1);
  while (i < text.size()) {
    if (escapes && text[i] == '\\') {
      i += 2;
    } else if (!multiline && (text[i] == quote || text[i] == '\n')) {
      return text[i] == quote ? i + 1 : i;
    } else if (multiline && text[i] == quote && text.substr(i, 3) == text.substr(at, 3)) {
      // Up to two more quotes belong to the string: """a"""""
      i += 3;
      for (int more = 0; more < 2 && i < text.size() && text[i] == quote; ++more) ++i;
      return i;
    } else {
      ++i;
    }
  }
  return text.size();
}

} // namespace

std::optional<unsigned> too_deep_line(std::string_view text) {
  std::size_t dots = 0;
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (c == '"' || c == '\'') {
      i = skip_string(text, i);
      continue;
    }
    if (c == '#') {
      const std::size_t end = text.find('\n', i);
      i = end == kNone ? text.size() : end;
      continue;
    }
    if (c == '.' && ++dots >= kDeepestKey)
      return static_cast<unsigned>(1 + std::ranges::count(text.substr(0, i), '\n'));
    if (c == '\n' || c == '=' || c == ',' || c == '{' || c == '[') dots = 0;
    ++i;
  }
  return std::nullopt;
}

} // namespace mohhos::security
