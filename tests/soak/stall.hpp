// How long a thread was kept from going on, and how much of that was a processor's doing: with more
// busy threads than processors each waits for its turn, whatever the peer does.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <fcntl.h>
#include <string_view>
#include <unistd.h>

#include "report.hpp"
#include "sys/fd.hpp"

namespace mohhos::soak {

struct Stalls {
  std::uint64_t longest_ns = 0;      // by the clock
  std::uint64_t longest_held_ns = 0; // … without the time in which we could run and had no turn
  std::uint64_t above_10_ms = 0;     // by the clock
  std::uint64_t held_above_10_ms = 0;
};

// Measures one step after the other, all of the thread that made it.
class StallWatch {
public:
  StallWatch() : file_(::open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC)) {}

  void begin() {
    began_ = now_ns();
    // Often enough that a turn of another that is long over is not taken for one of this step.
    if (began_ - looked_ > kShort) look();
  }
  // How long the step took by the clock.
  std::uint64_t end(Stalls& stalls) {
    const std::uint64_t took = now_ns() - began_;
    std::uint64_t held = took;
    if (took > kShort) {
      const std::uint64_t before = queued_;
      look();
      held -= std::min(held, queued_ - before);
    }
    stalls.longest_ns = std::max(stalls.longest_ns, took);
    stalls.longest_held_ns = std::max(stalls.longest_held_ns, held);
    stalls.above_10_ms += took > kLong;
    stalls.held_above_10_ms += held > kLong;
    return took;
  }

private:
  static constexpr std::uint64_t kShort = 500'000;
  static constexpr std::uint64_t kLong = 10'000'000;

  static std::uint64_t now_ns() {
    return static_cast<std::uint64_t>(Clock::now().time_since_epoch().count());
  }
  // proc(5), /proc/PID/schedstat: time on a processor, time waiting for one, turns.
  void look() {
    looked_ = now_ns();
    std::array<char, 128> text{};
    const ssize_t got = ::pread(file_.get(), text.data(), text.size(), 0);
    if (got <= 0) return; // a kernel without it: all of it is a stall
    const std::string_view words(text.data(), static_cast<std::size_t>(got));
    const std::size_t blank = words.find(' ');
    if (blank == std::string_view::npos) return;
    std::from_chars(words.data() + blank + 1, words.data() + words.size(), queued_);
  }

  sys::Fd file_;
  std::uint64_t began_ = 0;
  std::uint64_t looked_ = 0;
  std::uint64_t queued_ = 0; // time in which this thread waited for a processor, at the last look
};

} // namespace mohhos::soak
