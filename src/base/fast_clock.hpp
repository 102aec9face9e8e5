// CLOCK_MONOTONIC for the hot path: the processor's own counter, held to the kernel's clock.
//
// A call of clock_gettime through the vDSO takes about twice as long as reading the counter, and a
// message costs little more than either. So: one look at both clocks every millisecond, and the
// counter in between. Where the counter is not known to run evenly (no invariant TSC), every call
// asks the kernel. A value differs from the kernel's by less than a microsecond and never goes
// back.
#pragma once

#include <cstdint>

namespace mohhos {

// CLOCK_MONOTONIC in nanoseconds, from the kernel. [any]
[[nodiscard]] std::uint64_t monotonic_ns() noexcept;

// One thread's.
class FastClock {
public:
  // Nanoseconds of CLOCK_MONOTONIC. [any]
  [[nodiscard]] std::uint64_t now() noexcept {
#if defined(__x86_64__)
    const std::uint64_t elapsed = __builtin_ia32_rdtsc() - anchor_ticks_;
    if (elapsed < valid_ticks_) [[likely]] {
      const std::uint64_t value = anchor_ns_ + (elapsed * ns_per_tick_ >> kShift);
      if (value > last_) last_ = value;
      return last_;
    }
#endif
    return look();
  }

private:
  // ns_per_tick_ is a fixed-point number; elapsed ticks stay below 2^32, so the product fits.
  static constexpr unsigned kShift = 31;

  // Asks the kernel, and sets the counter by it.
  std::uint64_t look() noexcept;
  void calibrate(std::uint64_t ticks, std::uint64_t ns) noexcept;

  std::uint64_t anchor_ticks_ = 0;
  std::uint64_t anchor_ns_ = 0;
  std::uint64_t valid_ticks_ = 0; // after the anchor; 0: the counter is not usable (yet)
  std::uint64_t ns_per_tick_ = 0;
  std::uint64_t last_ = 0;
  std::uint64_t base_ticks_ = 0; // of the calibration that is under way
  std::uint64_t base_ns_ = 0;
};

} // namespace mohhos
