// For people who mistype: the known word that is nearest to theirs.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace mohhos::security {

// "did you mean 'min'?" when one is near, else "known: min, max, optional". [pure]
[[nodiscard]] std::string suggestion(std::string_view word, std::span<const std::string> known);

// "a, b, c". [pure]
[[nodiscard]] std::string joined(std::span<const std::string> words);

} // namespace mohhos::security
