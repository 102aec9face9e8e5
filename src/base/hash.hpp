// A hash that is the same in every run and on every machine. Not for what an enemy chooses.
#pragma once

#include <cstdint>
#include <string_view>

namespace mohhos {

// FNV-1a, 32 bits. [pure]
[[nodiscard]] constexpr std::uint32_t stable_hash(std::string_view text) {
  std::uint32_t hash = 2166136261U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  return hash;
}

} // namespace mohhos
