// Until when somebody waits: a point in time, or a time from now.
//
// A time from now becomes a point when there is something to wait for, and not before: a look at
// the clock costs as much as sending a message, and most sends do not wait.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/units.hpp"

namespace mohhos::ipc {

inline constexpr Monotonic kNoWait{}; // now or not at all
// Of receive(): what lies in the rings, without a system call that looks for anything else.
inline constexpr Monotonic kAtHand = Monotonic::min();
inline constexpr Monotonic kForever = Monotonic::max();

class Deadline {
public:
  constexpr Deadline(Monotonic at) : at_(at) {} // NOLINT(google-explicit-constructor)
  // 0: kNoWait. More than the clock can count: kForever. [pure]
  [[nodiscard]] static constexpr Deadline within(std::uint64_t ns) {
    Deadline made(ns == 0 ? kNoWait : kForever);
    if (ns < kEndless) made.from_now_ = std::chrono::nanoseconds(ns);
    return made;
  }
  [[nodiscard]] static constexpr Deadline within(std::chrono::nanoseconds time) {
    return within(time.count() > 0 ? static_cast<std::uint64_t>(time.count()) : 0);
  }

  // A time from now is counted from this call on. [any]
  [[nodiscard]] Monotonic at() const {
    if (from_now_.count() == 0) return at_;
    const Monotonic now = std::chrono::steady_clock::now();
    return from_now_ < kForever - now ? now + from_now_ : kForever;
  }

private:
  static constexpr auto kEndless =
      static_cast<std::uint64_t>(std::chrono::nanoseconds::max().count());
  Monotonic at_;
  std::chrono::nanoseconds from_now_{};
};

} // namespace mohhos::ipc
