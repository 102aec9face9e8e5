#include "security/toml_guard.hpp"

#include <algorithm>

namespace mohhos::security {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
static_assert(kDeepestKey == 16, "the objection says the number");

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

std::optional<TomlObjection> guard_toml(std::string_view text) {
  const auto object = [text](std::size_t at, std::string_view what) {
    return TomlObjection{static_cast<unsigned>(1 + std::ranges::count(text.substr(0, at), '\n')),
                         what};
  };
  std::size_t dots = 0;
  for (std::size_t i = text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
       i < text.size();) {
    const char c = text[i];
    if (c == '"' || c == '\'') {
      i = skip_string(text, i);
      continue;
    }
    if (c == '#') {
      i = std::min(text.find('\n', i), text.size());
      continue;
    }
    if (static_cast<unsigned char>(c) >= 0x80)
      return object(i, "a character beyond ASCII outside of quotes");
    if (c == '.' && ++dots >= kDeepestKey) return object(i, "a key of more than 16 parts");
    if (c == '\n' || c == '=' || c == ',' || c == '{' || c == '[') dots = 0;
    ++i;
  }
  return std::nullopt;
}

} // namespace mohhos::security
