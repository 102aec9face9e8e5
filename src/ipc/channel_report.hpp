// What the two sides of a channel have counted of themselves, as somebody sees it who is neither:
// read from the files, never mapped, and nothing is asked of a plugin.
//
// The words are two strangers'. They are shown, and nothing is decided by them: what cannot be is
// clamped, and named.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/error.hpp"
#include "ipc/layout.hpp"
#include "ipc/link.hpp"

namespace mohhos::ipc {

// One reading. The receiver's page is read before and after the sender's: what it said before
// cannot be ahead of the sender, and what it says after is as late as the depth should be.
struct ChannelCounters {
  Control before;
  DataHeader data;
  Control control;
};

// [any]
[[nodiscard]] Result<ChannelCounters> read_counters(int data, int control);

struct ChannelReport {
  std::uint64_t sent = 0;
  std::uint64_t acknowledged = 0;
  std::uint64_t bytes = 0;       // of payload that was sent
  std::uint64_t depth = 0;       // messages that are not acknowledged
  std::uint64_t depth_bytes = 0; // of the ring, in use now
  std::uint64_t high_water = 0;  // most bytes of the ring in use
  std::uint64_t dropped = 0;     // by either side, as the channel's rule has it
  std::uint64_t refused = 0;     // sends that were given up because the ring was full
  std::uint64_t space_waits = 0;
  std::uint64_t redelivered = 0;
  std::uint64_t expired = 0;
  std::uint64_t sleeps = 0; // the receiver's
  std::uint64_t wakeups = 0;
  std::uint64_t bells = 0; // that the sender rang: system calls
  // From publication to reception: upper limits of buckets of half an octave. 0: none was received.
  std::uint64_t latency_p50_ns = 0;
  std::uint64_t latency_p99_ns = 0;
  std::uint64_t latency_p999_ns = 0;
  // The first number that cannot be, and whose; empty: all can.
  std::string_view doubt{};
};

// Of a ring of `capacity` bytes whose sender's process is the `senders`-th. [pure]
[[nodiscard]] ChannelReport report_of(const ChannelCounters& counters, std::uint64_t capacity,
                                      Lane lane, std::uint32_t senders);

// The limit that this part (in thousandths) of what a histogram counted lies below; 0 when it
// counted nothing. [pure]
[[nodiscard]] std::uint64_t
latency_percentile_ns(std::span<const std::uint64_t, kLatencyBuckets> histogram,
                      std::uint32_t thousandths);

// "low", "normal", "high", "urgent", "reply", "lossy", "tap". [pure]
[[nodiscard]] std::string_view lane_name(Lane lane) noexcept;

} // namespace mohhos::ipc
