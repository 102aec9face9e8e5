// What a manifest says of a plugin's messages: the events that it publishes and how lossy each is,
// and how large its rings are to be.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>

#include "base/units.hpp"

namespace mohhos::model {

// What becomes of an event when a subscriber's ring is full.
enum class Lossiness : unsigned char {
  None = 0,   // the publisher waits or is refused, as for any message
  Newest = 1, // the new one is dropped and counted
  Oldest = 2, // the oldest unread one makes room; the receiver counts exactly what it missed
};
inline constexpr std::array kLossinesses = {Lossiness::None, Lossiness::Newest, Lossiness::Oldest};

// "none", "newest", "oldest". [pure]
[[nodiscard]] std::string_view lossiness_name(Lossiness lossiness) noexcept;
[[nodiscard]] std::optional<Lossiness> parse_lossiness(std::string_view text) noexcept;

// Everything that a plugin publishes, by event type.
using Events = std::map<std::uint32_t, Lossiness>;

inline constexpr Bytes kSmallestRing = kib(16);
inline constexpr Bytes kLargestRing = mib(1024);

// Wishes for the rings of the channels that the plugin sends on.
struct ChannelWishes {
  Bytes ring{};            // a power of two from kSmallestRing to kLargestRing; 0: the host's usual
  bool huge_pages = false; // where the kernel has some
  bool durable = false;    // messages may be on disk before they are relied upon
};

} // namespace mohhos::model
