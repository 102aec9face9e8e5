#include "model/version.hpp"

#include <array>
#include <charconv>

namespace mohhos::model {
namespace {

constexpr std::size_t kLongest = 15;

std::unexpected<Error> not_a_version(std::string_view text) {
  return fail(Code::Invalid,
              "'{}' is not a version: up to three numbers with dots between, at most {} characters",
              text.substr(0, 40), kLongest);
}

} // namespace

Result<Version> parse_version(std::string_view text) {
  if (text.empty() || text.size() > kLongest) return not_a_version(text);
  std::array<std::uint32_t, 3> parts{};
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  for (std::size_t i = 0;; ++i) {
    if (i == parts.size()) return not_a_version(text);
    const auto [next, error] = std::from_chars(at, end, parts[i]);
    const bool leading_zero = next - at > 1 && *at == '0';
    if (error != std::errc() || leading_zero || parts[i] > INT32_MAX) return not_a_version(text);
    if (next == end) return Version{parts[0], parts[1], parts[2]};
    if (*next != '.') return not_a_version(text);
    at = next + 1;
  }
}

std::string to_string(const Version& version) {
  return fmt::format("{}.{}.{}", version.major, version.minor, version.patch);
}

std::string to_string(const VersionRange& range) {
  const bool bounded_below = range.min != Version{};
  const bool bounded_above = range.max != VersionRange{}.max;
  if (bounded_below && bounded_above)
    return fmt::format(">= {}, <= {}", to_string(range.min), to_string(range.max));
  if (bounded_below) return fmt::format(">= {}", to_string(range.min));
  if (bounded_above) return fmt::format("<= {}", to_string(range.max));
  return "any version";
}

} // namespace mohhos::model
