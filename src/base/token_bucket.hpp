// How often something may happen: `rate` times a second, and at most `burst` saved up. Both are
// positive.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "base/units.hpp"

namespace mohhos {

class TokenBucket {
public:
  TokenBucket(double rate, double burst, Monotonic now)
      : rate_(rate), burst_(burst), tokens_(burst), filled_(now) {}

  // [pure]
  [[nodiscard]] bool take(Monotonic now) {
    const std::chrono::duration<double> passed = now - filled_;
    tokens_ = std::min(burst_, tokens_ + passed.count() * rate_);
    filled_ = now;
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }

  // Whether it is as it was made: nothing is lost with one that is forgotten now. [pure]
  [[nodiscard]] bool full(Monotonic now) const {
    const std::chrono::duration<double> passed = now - filled_;
    return tokens_ + passed.count() * rate_ >= burst_;
  }

  // From the last take() until `count` tokens are there. [pure]
  [[nodiscard]] std::chrono::microseconds until(double count) const {
    const double missing = std::max(0.0, count - tokens_);
    return std::chrono::microseconds(static_cast<std::int64_t>(missing / rate_ * 1e6) + 1);
  }

private:
  double rate_;
  double burst_;
  double tokens_;
  Monotonic filled_;
};

} // namespace mohhos
