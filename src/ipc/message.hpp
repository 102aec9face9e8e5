// A message as US-004 has it: what travels in a record's header, and what a receiver gets to see.
//
// The sender is not a field: it is the channel's, and nobody can claim another. The id is the
// record's place in its ring, unique for the channel's life, and costs no byte.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/fast_clock.hpp"
#include "base/ids.hpp"
#include "base/units.hpp"

namespace mohhos::ipc {

// US-004's message_type_t.
enum class MessageType : std::uint8_t {
  Init = 0,
  Shutdown = 1,
  ConfigUpdate = 2,
  DataRequest = 3,
  DataResponse = 4,
  EventNotify = 5,
  AiInference = 6,
  Custom = 7,
};
inline constexpr std::uint8_t kMessageTypeCount = 8;

enum class Priority : std::uint8_t { Low = 0, Normal = 1, High = 2, Critical = 3 };

// What a sender says about a message. The fields below the line travel in the record's extension,
// which is there only when one of them is not 0.
struct Outgoing {
  MessageType type = MessageType::Custom;
  Priority priority = Priority::Normal;
  bool failed = false;   // a response that is the responder's 'no': its payload is the sentence
  bool cancels = false;  // takes back the request with this correlation
  bool durable = false;  // is to be on disk; Endpoint::sync() waits for that
  bool more = false;     // stays here: more follows at once, so the receiver may be woken later
  bool may_drop = false; // stays here: when the ring is full, it is dropped and not refused
  // ---
  std::uint32_t event = 0;       // EventNotify: which
  std::uint64_t correlation = 0; // a request's number at the asker; its response carries the same
  std::uint64_t deadline_ns = 0; // CLOCK_MONOTONIC; after it nobody waits for the answer. 0: none
  std::uint64_t attachment = 0;  // a shared memory that rides along: its number. 0: none
};

// Where the record behind a message begins. Apart: on lines of its own, where the receiver can wait
// while nobody writes near it: the quickest way for a message that is waited for (64 B one way on
// far cores: 330 ns, close 370). Close: right behind, so that each line that travels carries more:
// for one of many (11 against 14 million messages a second).
enum class Spacing : std::uint8_t { Apart, Close };

// What a receiver learns: a private copy, checked, that the sender cannot change any more.
struct MessageInfo {
  std::uint64_t id = 0; // position / 16 + 1
  MessageType type{};
  Priority priority{};
  bool failed = false;
  bool cancels = false;
  bool durable = false;
  bool redelivered = false; // a process before us died while it had this message
  std::uint32_t size = 0;
  std::uint32_t event = 0;
  std::uint32_t generation = 0;   // of the sending process, as it says
  std::uint64_t timestamp_ns = 0; // CLOCK_MONOTONIC, when it was published, as the sender says
  std::uint64_t correlation = 0;
  std::uint64_t deadline_ns = 0;
  std::uint64_t attachment = 0;
};

// A message in its ring: `info` is a private copy, `payload` lies in memory that the sender can
// still write. Copy what you parse. Valid until released.
struct View {
  MessageInfo info;
  std::span<const std::byte> payload;
  std::uint64_t end = 0;    // position behind the record
  std::uint64_t number = 0; // of the messages that this receiver took out, the how many-th
};

// CLOCK_MONOTONIC in nanoseconds: the unit of timestamps and deadlines in records.
using mohhos::monotonic_ns;

} // namespace mohhos::ipc
