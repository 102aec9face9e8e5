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

// Insertions, deletions, replacements and swaps of neighbours from one word to the other (optimal
// string alignment).
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before; // the row of i - 2
  std::vector<std::size_t> above(b.size() + 1);
  std::iota(above.begin(), above.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::vector<std::size_t> row(b.size() + 1, i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] =
          std::min({row[j - 1] + 1, above[j] + 1, above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before = std::exchange(above, std::move(row));
  }
  return above.back();
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
