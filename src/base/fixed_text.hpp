// Texts in the fixed arrays of records between processes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string_view>

namespace mohhos {

// Copies a text into a record's array, cut to fit, the rest zeroed: always terminated, and nothing
// of the sender's memory goes along. [pure]
template <std::size_t N>
void put_text(char (&array)[N], std::string_view text) {
  const std::size_t size = std::min(text.size(), N - 1);
  std::memcpy(array, text.data(), size);
  std::memset(array + size, 0, N - size);
}

} // namespace mohhos
