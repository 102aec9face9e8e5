// Quantities with their unit in the type. Time is std::chrono's.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>

namespace mohhos {

struct Bytes {
  std::uint64_t count = 0;
  friend constexpr auto operator<=>(Bytes, Bytes) = default;
};
constexpr Bytes kib(std::uint64_t n) {
  return {n << 10};
}
constexpr Bytes mib(std::uint64_t n) {
  return {n << 20};
}

using Monotonic = std::chrono::steady_clock::time_point; // CLOCK_MONOTONIC

} // namespace mohhos
