// When a receiver lets messages gather before it looks again.
//
// A receiver that is as fast as its sender runs right behind it: each takes the line that the other
// is busy with, message by message, and both wait for lines most of the time. One that sleeps falls
// in step with it besides: a system call and an interrupt for every few messages. If the receiver
// stays away for some microseconds the sender fills many lines undisturbed, and the receiver then
// fetches them side by side. Measured: 6.6 to 11 million messages a second on two far cores with a
// receiver that spins, 16 to 60 on near ones with one that sleeps.
//
// It stays away by looking away, which is exact, or by a nap: asleep until a timer rings, with no
// bell armed that the flow could ring. A nap leaves the processor to others, but going to sleep and
// coming back takes 14 µs of it (on a virtual machine) and as much time, so it has to be longer.
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

#include "base/units.hpp"

namespace mohhos::ipc {

// What came out of the rings between two times that they were found empty.
struct Burst {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
  std::uint32_t rings = 0; // that were looked at
  double fullest = 0;      // bytes out of one ring, by its size

  void add_ring(std::uint64_t bytes_of_it, std::uint64_t size) noexcept {
    bytes += bytes_of_it;
    ++rings;
    fullest = std::max(fullest, static_cast<double>(bytes_of_it) / static_cast<double>(size));
  }
  // Whether a ring with so many of the bytes is a part of the flow, and not beside it. [pure]
  [[nodiscard]] bool is_carried_by(std::uint64_t bytes_of_it) const noexcept {
    return bytes_of_it != 0 && bytes_of_it * rings >= bytes / kLeastPart;
  }

private:
  static constexpr std::uint64_t kLeastPart = 4; // this part of what each has on average
};

// A way of staying away.
struct Pauses {
  std::chrono::nanoseconds shortest;
  std::chrono::nanoseconds first;
  std::chrono::nanoseconds brief; // longer ones are for flows that are quick, and many
  std::chrono::nanoseconds longest;
  std::chrono::nanoseconds each;         // a slower flow is better read as it comes
  std::chrono::nanoseconds each_of_many; // and one slower than this after brief pauses
  std::uint64_t enough;                  // messages: more gain nothing
};
inline constexpr Pauses kLooksAway{.shortest = std::chrono::nanoseconds(500),
                                   .first = std::chrono::microseconds(2),
                                   .brief = std::chrono::microseconds(8),
                                   .longest = std::chrono::microseconds(32),
                                   .each = std::chrono::nanoseconds(200),
                                   .each_of_many = std::chrono::nanoseconds(100),
                                   .enough = 2000};
inline constexpr Pauses kNaps{.shortest = std::chrono::microseconds(4),
                              .first = std::chrono::microseconds(8),
                              .brief = std::chrono::microseconds(16),
                              .longest = std::chrono::microseconds(64),
                              .each = std::chrono::microseconds(1),
                              .each_of_many = std::chrono::nanoseconds(100),
                              .enough = 8000};

class Gather {
public:
  // The rings are empty, after this. How long to stay away from now on. [pure]
  [[nodiscard]] std::chrono::nanoseconds pause(const Burst& burst, const Pauses& pauses,
                                               Monotonic now) noexcept {
    if (burst.messages == 0) return {}; // idle: the next one is to be seen at once
    if (time_.count() != 0)
      judge(burst, pauses, is_crowded(burst, now));
    else if (wait_ > 0)
      --wait_;
    else
      time_ = pauses.first;
    begun_ = now;
    return time_;
  }
  // Back from it. [pure]
  void ended(Monotonic now) noexcept { ended_ = now; }

private:
  [[nodiscard]] bool is_slower(const Burst& burst, std::chrono::nanoseconds each) const noexcept {
    return burst.messages < static_cast<std::uint64_t>(time_ / each);
  }
  // Whether a ring was half full when the pause ended: as much of what came since it began, as it
  // was of that time.
  [[nodiscard]] bool is_crowded(const Burst& burst, Monotonic now) const noexcept {
    return burst.fullest * static_cast<double>((ended_ - begun_).count()) >
           0.5 * static_cast<double>((now - begun_).count());
  }
  void judge(const Burst& burst, const Pauses& pauses, bool crowded) noexcept {
    if (is_slower(burst, pauses.each) || (crowded && time_ == pauses.shortest)) {
      time_ = {};
      wait_ = penalty_;
      penalty_ = std::min(2 * penalty_, kLongestWait);
      return;
    }
    penalty_ = 1;
    if (crowded)
      time_ = std::max(time_ / 2, pauses.shortest);
    else if (burst.messages < pauses.enough &&
             (time_ < pauses.brief || !is_slower(burst, pauses.each_of_many)))
      time_ = std::min(time_ * 2, pauses.longest);
  }

  static constexpr std::uint32_t kLongestWait = 1U << 16; // times that the rings were found empty
  std::chrono::nanoseconds time_{};                       // of the last pause; 0: there was none
  Monotonic begun_{};
  Monotonic ended_{};
  std::uint32_t wait_ = 0; // times before the next try
  std::uint32_t penalty_ = 1;
};

} // namespace mohhos::ipc
