// The wall clock, for people and logs. Whatever is waited for or compared is CLOCK_MONOTONIC's
// (base/units.hpp).
#pragma once

#include <cstdint>
#include <ctime>

namespace mohhos::sys {

// Microseconds since 1970. [any]
[[nodiscard]] inline std::uint64_t wall_clock_us() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec) / 1000;
}

} // namespace mohhos::sys
