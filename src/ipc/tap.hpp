// What a recorder gets of a message: this header, then the payload, as one message on the Tap lane.
#pragma once

#include <cstdint>

namespace mohhos::ipc {

struct TapHeader {
  std::uint64_t channel = 0; // that it came on
  std::uint64_t id = 0;
  std::uint64_t sender = 0;
  std::uint64_t sent_ns = 0; // as the sender says
  std::uint64_t received_ns = 0;
  std::uint64_t correlation = 0;
  std::uint64_t deadline_ns = 0;
  std::uint64_t attachment = 0;
  std::uint64_t missed = 0; // copies before this one that the recorder had no room for
  std::uint32_t type = 0;
  std::uint32_t priority = 0;
  std::uint32_t event = 0;
  std::uint32_t generation = 0;
  std::uint32_t flags = 0; // kTap…
  std::uint32_t lane = 0;  // Lane
};
static_assert(sizeof(TapHeader) == 96);

inline constexpr std::uint32_t kTapFailed = 1;
inline constexpr std::uint32_t kTapCancels = 2;
inline constexpr std::uint32_t kTapRedelivered = 4;
inline constexpr std::uint32_t kTapDurable = 8;

} // namespace mohhos::ipc
