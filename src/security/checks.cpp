#include "security/checks.hpp"

#include <algorithm>

#include "mohhos/v1/manifest.pb.h"

#include "base/check.hpp"
#include "model/metadata.hpp"

namespace mohhos::security {
namespace {

constexpr std::size_t kShown = 60;

// The number of continuation bytes after a UTF-8 lead byte; -1: not a lead byte.
int continuation_of(unsigned char lead) {
  if (lead < 0x80) return 0;
  if (lead >= 0xC2 && lead < 0xE0) return 1;
  if (lead >= 0xE0 && lead < 0xF0) return 2;
  if (lead >= 0xF0 && lead < 0xF5) return 3;
  return -1;
}

// No control characters, no overlong forms, no surrogates, nothing past U+10FFFF.
bool is_printable_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const int more = continuation_of(lead);
    if (more < 0 || lead < 0x20 || lead == 0x7F ||
        text.size() - i <= static_cast<std::size_t>(more))
      return false;
    char32_t point = more == 0 ? lead : lead & (0x3FU >> more);
    for (int k = 1; k <= more; ++k) {
      const auto byte = static_cast<unsigned char>(text[i + static_cast<std::size_t>(k)]);
      if ((byte & 0xC0U) != 0x80U) return false;
      point = point << 6 | (byte & 0x3FU);
    }
    const bool overlong = (more == 2 && point < 0x800) || (more == 3 && point < 0x10000);
    const bool surrogate = point >= 0xD800 && point <= 0xDFFF;
    const bool control = point >= 0x80 && point < 0xA0;
    const bool reordering =
        (point >= 0x202A && point <= 0x202E) || (point >= 0x2066 && point <= 0x2069);
    if (overlong || surrogate || control || reordering || point > 0x10FFFF) return false;
    i += static_cast<std::size_t>(more) + 1;
  }
  return true;
}

// For an error's text: short, and harmless on a terminal.
std::string shown(std::string_view value) {
  std::string text;
  for (const char c : value.substr(0, kShown)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7F)
      fmt::format_to(std::back_inserter(text), "\\x{:02x}", byte);
    else
      text += c;
  }
  return value.size() > kShown ? text + "..." : text;
}

bool is_normal(std::string_view path) {
  if (path == "/") return true;
  for (std::string_view rest = path; !rest.empty();) {
    rest.remove_prefix(1); // the '/'
    const std::string_view part = rest.substr(0, rest.find('/'));
    if (part.empty() || part == "." || part == "..") return false;
    rest.remove_prefix(part.size());
  }
  return true;
}

bool is_setting_name(std::string_view key) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  };
  return !key.empty() && key.size() <= model::kLongestName && std::ranges::all_of(key, allowed);
}

} // namespace

std::unexpected<Error> not_allowed(const Source& source, std::string_view path,
                                   std::string_view value, std::string_view allowed) {
  return fail(Code::Invalid, "{}{} = \"{}\": it must be {}", source.at(path), path, shown(value),
              allowed);
}

Result<> check_text(const Source& source, std::string_view path, std::string_view text,
                    std::size_t longest) {
  if (text.size() <= longest && is_printable_utf8(text)) return {};
  return not_allowed(source, path, text,
                     fmt::format("at most {} bytes of UTF-8 without control characters", longest));
}

Result<> check_path(const Source& source, std::string_view path, std::string_view text) {
  TRY(check_text(source, path, text, kLongestPath));
  if (text.starts_with('/') && is_normal(text)) return {};
  return not_allowed(source, path, text,
                     "an absolute path without '.', '..', '//' or '/' at its end");
}

Result<> check_setting(const Source& source, std::string_view path, std::string_view key,
                       std::string_view value) {
  if (!is_setting_name(key))
    return fail(Code::Invalid,
                "{}'{}' is no name of a setting: letters, digits, '_', '-', '.', at most {}",
                source.at(path), shown(key), model::kLongestName);
  // Line ends and tabs are a setting's own business.
  std::string text(value);
  std::ranges::replace_if(text, [](char c) { return c == '\n' || c == '\t' || c == '\r'; }, ' ');
  return check_text(source, path, text, kLongestValue);
}

Result<> check_count(const Source& source, std::string_view path, std::size_t count) {
  if (count <= kMostEntries) return {};
  return fail(Code::Invalid, "{}{} has {} entries, and the limit is {}", source.at(path), path,
              count, kMostEntries);
}

std::string capability_names() {
  std::string names;
  for (const model::Capability capability : model::kCapabilities)
    fmt::format_to(std::back_inserter(names), "{}{}", names.empty() ? "" : ", ",
                   model::capability_name(capability));
  return names;
}

std::optional<std::string_view> reference_of(std::string_view entry) {
  if (!entry.starts_with("${") || !entry.ends_with('}')) return std::nullopt;
  return entry.substr(2, entry.size() - 3);
}

std::uint64_t limit_at(const model::ResourceLimits& limits, std::size_t row) {
  switch (row) {
  case 0: return limits.max_memory_mb;
  case 1: return limits.max_cpu_percent;
  case 2: return limits.max_file_descriptors;
  case 3: return limits.max_network_connections;
  case 4: return limits.max_execution_time_ms;
  case 5: return limits.max_processes;
  case 6: return limits.max_tmp_mb;
  case 7: return limits.max_tmp_files;
  default: break;
  }
  CHECK(row < kLimitRanges.size());
  return 0;
}

void set_limit(model::ResourceLimits& limits, std::size_t row, std::uint64_t value) {
  const auto small =
      static_cast<std::uint32_t>(value); // checked: every range but memory and time fits
  switch (row) {
  case 0: limits.max_memory_mb = value; return;
  case 1: limits.max_cpu_percent = small; return;
  case 2: limits.max_file_descriptors = small; return;
  case 3: limits.max_network_connections = small; return;
  case 4: limits.max_execution_time_ms = value; return;
  case 5: limits.max_processes = small; return;
  case 6: limits.max_tmp_mb = small; return;
  case 7: limits.max_tmp_files = small; return;
  default: break;
  }
  CHECK(row < kLimitRanges.size());
}

std::uint64_t limit_at(const v1::Limits& limits, std::size_t row) {
  switch (row) {
  case 0: return limits.max_memory_mb();
  case 1: return limits.max_cpu_percent();
  case 2: return limits.max_file_descriptors();
  case 3: return limits.max_network_connections();
  case 4: return limits.max_execution_time_ms();
  case 5: return limits.max_processes();
  case 6: return limits.max_tmp_mb();
  case 7: return limits.max_tmp_files();
  default: break;
  }
  CHECK(row < kLimitRanges.size());
  return 0;
}

Result<> check_limit(const Source& source, std::string_view path, std::uint64_t value,
                     std::size_t row) {
  const LimitRange& range = kLimitRanges[row];
  if (value >= range.min && value <= range.max) return {};
  return fail(Code::Invalid, "{}{} = {}: it must be from {} to {}", source.at(path), path, value,
              range.min, range.max);
}

} // namespace mohhos::security
