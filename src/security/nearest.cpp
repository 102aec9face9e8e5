#include "security/nearest.hpp"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace mohhos::security {
namespace {

constexpr std::size_t kLongestWord = 64; // longer ones are not compared

// Insertions, deletions and replacements from one word to the other (Levenshtein).
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = std::exchange(row[j + 1], std::min({row[j] + 1, row[j + 1] + 1, replaced}));
    }
  }
  return row.back();
}

} // namespace

std::string suggestion(std::string_view word, std::span<const std::string> known) {
  if (word.size() <= kLongestWord) {
    const auto nearest = std::ranges::min_element(
        known, {}, [word](const std::string& candidate) { return distance(word, candidate); });
    if (nearest != known.end() &&
        distance(word, *nearest) <= std::max<std::size_t>(1, nearest->size() / 3))
      return fmt::format("did you mean '{}'?", *nearest);
  }
  return fmt::format("known: {}", joined(known));
}

std::string joined(std::span<const std::string> words) {
  return fmt::format("{}", fmt::join(words, ", "));
}

} // namespace mohhos::security
