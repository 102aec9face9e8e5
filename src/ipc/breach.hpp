// How a peer can break the ring's rules.
#pragma once

#include <cstdint>

namespace mohhos::ipc {

// Which rule a peer broke; the words are in breach_text(). None: it kept them all.
enum class Breach : std::uint8_t {
  None = 0,
  TailUnaligned,   // receiver's tail is not a multiple of 16
  TailBackwards,   // receiver's tail went back
  TailBeyondHead,  // receiver's tail passed what was sent
  WrongTag,        // a record carries the tag of another place or lap
  WrongType,       // a type that does not exist
  WrongFlags,      // a flag that does not exist
  TooLong,         // a record longer than the ring
  Overrun,         // a record that overlaps one that is not released
  NotAReply,       // something else than a response on a channel for responses
  BellStorm,       // the bell rings again and again, and there is no message
  OldestUnaligned, // a lossy ring's oldest is not a multiple of 16
};

[[nodiscard]] const char* breach_text(Breach breach) noexcept;

} // namespace mohhos::ipc
