// Counts of durations in buckets that grow by a 32nd: a percentile read from it is at most 3 % too
// high. Durations are in ticks of the processor's clock; nanoseconds come out.
#pragma once

#include <array>
#include <bit>
#include <chrono>
#include <cstdint>
#include <utility>
#include <vector>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace mohhos::bench {

[[nodiscard]] inline std::uint64_t ticks() noexcept {
#if defined(__x86_64__)
  return __rdtsc();
#else
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}
[[nodiscard]] inline double ns_per_tick() {
  static const double kRatio = [] {
    const auto begin = std::chrono::steady_clock::now();
    const std::uint64_t first = ticks();
    while (std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(20)) {
    }
    const std::uint64_t last = ticks();
    const std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - begin;
    return time.count() / static_cast<double>(last - first);
  }();
  return kRatio;
}

class Histogram {
public:
  void add(std::uint64_t duration) noexcept {
    ++counts_[bucket_of(duration)];
    ++total_;
  }
  [[nodiscard]] std::uint64_t total() const { return total_; }

  // The upper end of the bucket below which this share of the durations lies, in ns.
  [[nodiscard]] double at(double share) const {
    const auto wanted = static_cast<std::uint64_t>(share * static_cast<double>(total_));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen > wanted || seen == total_) return upper_end(i);
    }
    return 0;
  }
  // Upper end in ns and count of every bucket that is not empty.
  [[nodiscard]] std::vector<std::pair<double, std::uint64_t>> buckets() const {
    std::vector<std::pair<double, std::uint64_t>> found;
    for (std::size_t i = 0; i < counts_.size(); ++i)
      if (counts_[i] != 0) found.emplace_back(upper_end(i), counts_[i]);
    return found;
  }

private:
  static constexpr unsigned kBits = 5; // 32 buckets for each doubling
  static constexpr std::size_t bucket_of(std::uint64_t duration) {
    if (duration < (1U << kBits)) return duration;
    const auto shift = static_cast<unsigned>(std::bit_width(duration)) - 1 - kBits;
    return ((shift + 1UL) << kBits) + ((duration >> shift) & ((1U << kBits) - 1));
  }
  static double upper_end(std::size_t bucket) {
    const std::size_t octave = bucket >> kBits;
    const std::uint64_t low = bucket & ((1U << kBits) - 1);
    if (octave == 0) return static_cast<double>(low + 1) * ns_per_tick();
    return static_cast<double>((low + 1 + (1U << kBits)) << (octave - 1)) * ns_per_tick();
  }
  std::array<std::uint64_t, (64 - kBits + 1) << kBits> counts_{};
  std::uint64_t total_ = 0;
};

} // namespace mohhos::bench
