// When a receiver that spins lets messages gather before it looks again.
//
// A receiver that is as fast as its sender runs right behind it: each takes the line that the other
// is busy with, message by message, and both wait for lines most of the time. If the receiver looks
// away for some microseconds the sender fills many lines undisturbed, and the receiver then fetches
// them side by side. Measured: 6.6 to 11 million messages a second on two far cores.
//
// Worth it in a flow only, so it is tried once in a while: a pause after which there was little to
// fetch is the last one for some time, twice as long each time it is in vain. And never so long
// that a ring runs full meanwhile. The quicker the flow, the longer: a message waits for half a
// pause, so only what comes quicker than one in a hundred nanoseconds, and is many, waits for a
// long one.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace mohhos::ipc {

// What lay in the rings between two times that they were found empty.
struct Burst {
  std::uint64_t messages = 0;
  bool crowded = false; // more than half of a ring came out of it
};

class Gather {
public:
  static constexpr std::chrono::nanoseconds kShortest{500};
  static constexpr std::chrono::nanoseconds kFirst{2000};
  static constexpr std::chrono::nanoseconds kShort{8000};
  static constexpr std::chrono::nanoseconds kLongest{32000};
  static constexpr std::chrono::nanoseconds kEach{200}; // a slower flow is better read as it comes
  static constexpr std::chrono::nanoseconds kEachOfMany{
      100};                                      // and one slower than this after kShort
  static constexpr std::uint64_t kEnough = 2000; // messages: more gain nothing

  // The rings are empty, after this. How long to look away now. [pure]
  [[nodiscard]] std::chrono::nanoseconds pause(const Burst& burst) noexcept {
    if (burst.messages == 0) return {}; // idle: the next one is to be seen at once
    if (time_.count() != 0)
      judge(burst);
    else if (wait_ > 0)
      --wait_;
    else
      time_ = kFirst;
    return time_;
  }

private:
  [[nodiscard]] bool is_slower(const Burst& burst, std::chrono::nanoseconds each) const noexcept {
    return burst.messages < static_cast<std::uint64_t>(time_ / each);
  }
  void judge(const Burst& burst) noexcept {
    if (is_slower(burst, kEach) || (burst.crowded && time_ == kShortest)) {
      time_ = {};
      wait_ = penalty_;
      penalty_ = std::min(2 * penalty_, kLongestWait);
      return;
    }
    penalty_ = 1;
    if (burst.crowded)
      time_ = std::max(time_ / 2, kShortest);
    else if (burst.messages < kEnough && (time_ < kShort || !is_slower(burst, kEachOfMany)))
      time_ = std::min(time_ * 2, kLongest);
  }

  static constexpr std::uint32_t kLongestWait = 1U << 16; // times that the rings were found empty
  std::chrono::nanoseconds time_{};                       // of the last pause; 0: there was none
  std::uint32_t wait_ = 0;                                // times before the next try
  std::uint32_t penalty_ = 1;
};

} // namespace mohhos::ipc
