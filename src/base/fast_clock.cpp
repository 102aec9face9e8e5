#include "base/fast_clock.hpp"

#include <algorithm>
#include <ctime>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace mohhos {
namespace {

#if defined(__x86_64__)
constexpr std::uint64_t kCalibrationNs = 10'000'000; // an error of 5 µs in it is 0.05 %
constexpr std::uint64_t kValidNs = 1'000'000;        // … and so half a microsecond here
constexpr std::uint64_t kCloseTicks = 20'000;        // two looks at the counter, nothing in between

bool has_even_counter() noexcept {
  static const bool even = [] {
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    return __get_cpuid(0x80000007, &a, &b, &c, &d) != 0 && (d & (1U << 8)) != 0; // invariant TSC
  }();
  return even;
}
#endif

} // namespace

std::uint64_t monotonic_ns() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now); // the vDSO's: no system call
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U +
         static_cast<std::uint64_t>(now.tv_nsec);
}

std::uint64_t FastClock::look() noexcept {
#if defined(__x86_64__)
  const std::uint64_t before = __builtin_ia32_rdtsc();
  const std::uint64_t ns = monotonic_ns();
  const std::uint64_t ticks = __builtin_ia32_rdtsc();
  valid_ticks_ = 0;
  // We may have been interrupted between the two clocks: then they are no pair.
  if (ticks - before < kCloseTicks && has_even_counter()) calibrate(ticks, ns);
#else
  const std::uint64_t ns = monotonic_ns();
#endif
  last_ = std::max(last_, ns);
  return last_;
}

void FastClock::calibrate([[maybe_unused]] std::uint64_t ticks,
                          [[maybe_unused]] std::uint64_t ns) noexcept {
#if defined(__x86_64__)
  const std::uint64_t ns_passed = ns - base_ns_;
  const std::uint64_t ticks_passed = ticks - base_ticks_;
  if (base_ns_ == 0 || ns_passed > kCalibrationNs) {
    // Too long ago, and the machine may have slept meanwhile: only a recent pair is believed.
    const bool recent = base_ns_ != 0 && ns_passed < 100 * kCalibrationNs && ticks_passed != 0;
    if (recent) ns_per_tick_ = (ns_passed << kShift) / ticks_passed;
    base_ns_ = ns;
    base_ticks_ = ticks;
  }
  if (ns_per_tick_ == 0) return;
  anchor_ticks_ = ticks;
  anchor_ns_ = ns;
  valid_ticks_ = std::min((kValidNs << kShift) / ns_per_tick_, std::uint64_t{1} << 32);
#endif
}

} // namespace mohhos
