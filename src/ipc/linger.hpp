// How long to look at the rings before sleeping, beside what the settings say.
//
// A receiver that is rung for a message, handles it and sleeps at once falls into step with its
// sender: one wake-up for each message, though the next one comes within microseconds. So whoever
// was woken soon after it fell asleep looks a little longer the next time; and when that was in
// vain it stops doing so for a while, twice as long each time (on one processor looking only keeps
// the sender from running).
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace mohhos::ipc {

class Linger {
public:
  static constexpr std::chrono::microseconds kLook{20};
  static constexpr std::chrono::microseconds kSoon{50}; // a sleep this short was not worth it

  // How long to look before the next sleep. [pure]
  [[nodiscard]] std::chrono::microseconds time() const noexcept {
    return eager_ ? kLook : std::chrono::microseconds(0);
  }
  // The look of time() found something. [pure]
  void found() noexcept { penalty_ = 1; }
  // It did not. [pure]
  void in_vain() noexcept {
    eager_ = false;
    wait_ = penalty_;
    penalty_ = std::min(2 * penalty_, kLongest);
  }
  // We were rung after sleeping for so long. [pure]
  void woken_after(std::chrono::nanoseconds slept) noexcept {
    if (wait_ > 0)
      --wait_;
    else
      eager_ = slept < kSoon;
  }

private:
  static constexpr std::uint32_t kLongest = 4096; // wake-ups
  bool eager_ = false;
  std::uint32_t wait_ = 0; // wake-ups before the next try
  std::uint32_t penalty_ = 1;
};

} // namespace mohhos::ipc
