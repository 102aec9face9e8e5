// The memory of a channel, byte for byte. docs/ring-format.md is this file in words and pictures.
//
//   data memfd     written by the sender alone, mapped read-only by the receiver
//     [0, 4096)              DataHeader
//     [4096, 4096+capacity)  the ring; mapped twice in a row, so that no record is ever split
//   control memfd  written by the receiver alone, mapped read-only by the sender
//     [0, 4096)              Control
//
// Positions are free-running 64-bit byte counts, multiples of 16; a record lies at position %
// capacity. There is no shared head: a record's first word publishes it, and the word after the
// last record is 0. So a small message moves in one cache line, where a ring with a head index
// moves two. How records lie to cache lines is their sender's choice (Spacing in message.hpp).
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace mohhos::ipc {

inline constexpr std::uint32_t kRingMagic = 0x474E4952; // "RING"
inline constexpr std::uint32_t kRingVersion = 4;
inline constexpr std::size_t kLine = 64;  // of the cache
inline constexpr std::size_t kPair = 128; // of lines, which processors fetch together
inline constexpr std::size_t kGrain = 16; // records begin at its multiples
inline constexpr std::size_t kHeaderPage = 4096;
inline constexpr std::uint64_t kMinRing = 4096;
inline constexpr std::uint64_t kMaxRing = std::uint64_t{1} << 30;
inline constexpr std::uint64_t kDefaultRing = std::uint64_t{2} << 20;
// Of a ring of the usual size: DataHeader::lap. What a ring of another size is asked for, it has.
inline constexpr std::uint64_t kShortLap = std::uint64_t{256} << 10;

// What a side counts of itself, for whoever watches (the manager reads it from the file): plain
// stores to lines that nobody else touches, so that counting costs nothing. Believed by nobody.
struct alignas(kLine) SenderCounters {
  std::uint64_t head = 0;        // position behind the last record
  std::uint64_t sent = 0;        // messages
  std::uint64_t bytes = 0;       // of payload
  std::uint64_t high_water = 0;  // most bytes of the ring in use, as the sender saw them
  std::uint64_t bells = 0;       // times that the receiver was rung: system calls
  std::uint64_t space_waits = 0; // times that a send had to wait for space
  std::uint64_t refused = 0;     // sends that were given up because the ring was (or stayed) full
  std::uint64_t dropped = 0;     // events that were dropped by the channel's own rule
};

struct alignas(kLine) ReceiverCounters {
  std::uint64_t acknowledged = 0;
  std::uint64_t redelivered = 0;
  std::uint64_t dropped = 0;     // overwritten before they were read (Lane::Lossy): exact
  std::uint64_t expired = 0;     // requests whose deadline passed in the ring
  std::uint64_t sleeps = 0;      // times that the bell was armed
  std::uint64_t wakeups = 0;     // times that the bell was heard
  std::uint64_t space_bells = 0; // times that the sender was rung: system calls
  std::uint64_t next_event = 0;  // Lane::Lossy: number of the event that is expected
};

// Latency from publication to reception: bucket n counts what is below bucket_limit_ns(n).
inline constexpr std::size_t kLatencyBuckets = 64;

// Each word that changes lies on a line of its own, beside nothing that the other side reads at
// another pace.
struct alignas(kLine) DataHeader {
  std::uint32_t magic = kRingMagic;
  std::uint32_t version = kRingVersion;
  std::uint64_t capacity = 0;
  // After so many bytes a flow that its receiver keeps up with may begin anew at the ring's
  // beginning. 0: never. The manager writes it for the senders; nobody else looks.
  std::uint64_t lap = 0;
  // Odd: the sender sleeps until there is space; each sleep has a number of its own.
  alignas(kLine) std::uint32_t waiting = 0;
  // Of a lossy ring: records before this position may be overwritten at any time.
  alignas(kLine) std::uint64_t oldest = 0;
  // Of the last skip, for whoever counts what is unread: where it ends, and how long it is.
  std::uint64_t skip_end = 0;
  std::uint64_t skipped = 0;
  SenderCounters counters;
};

struct alignas(kLine) Control {
  std::uint32_t magic = kRingMagic;
  std::uint32_t version = kRingVersion;
  // The first byte that is not acknowledged; a record's bytes may be used again once it lies behind
  // it.
  alignas(kLine) std::uint64_t tail = 0;
  // Behind the last record that was handed out. Between tail and here lies what a receiver that
  // dies has begun and not acknowledged: its successor gets it again, flagged.
  std::uint64_t begun = 0;
  // A position with kBuried, written by the manager while there is no receiver: the next one begins
  // there if that lies ahead of the tail. What is skipped has gone to the dead letters.
  std::uint64_t buried = 0;
  // Odd: the receiver sleeps until the bell rings; each sleep has a number of its own.
  alignas(kLine) std::uint32_t armed = 0;
  ReceiverCounters counters;
  std::uint64_t latency[kLatencyBuckets] = {};
};

struct RecordHeader {
  std::uint64_t publish = 0;
  std::uint64_t timestamp_ns = 0;
};

// Follows the RecordHeader when kExtended is set.
struct RecordExtension {
  std::uint64_t correlation = 0;
  std::uint64_t deadline_ns = 0;
  std::uint32_t generation = 0;
  std::uint32_t event = 0;
  std::uint64_t attachment = 0; // a shared memory that rides along: its number, 0: none
};

static_assert(sizeof(RecordHeader) == 16 && sizeof(RecordExtension) == 32);
static_assert(offsetof(DataHeader, lap) == 16 && offsetof(DataHeader, waiting) == 64 &&
              offsetof(DataHeader, oldest) == 128 && offsetof(DataHeader, skip_end) == 136 &&
              offsetof(DataHeader, skipped) == 144 && offsetof(DataHeader, counters) == 192 &&
              sizeof(DataHeader) == 256);
static_assert(offsetof(Control, tail) == 64 && offsetof(Control, begun) == 72 &&
              offsetof(Control, buried) == 80 && offsetof(Control, armed) == 128 &&
              offsetof(Control, counters) == 192 && offsetof(Control, latency) == 256 &&
              sizeof(Control) == 768);
static_assert(sizeof(DataHeader) <= kHeaderPage && sizeof(Control) <= kHeaderPage);
static_assert(std::is_trivially_copyable_v<DataHeader> && std::is_trivially_copyable_v<Control>);

// The publish word: size of the payload (bits 0–31), tag (32–47), type (48–55), flags (56–63).
inline constexpr std::uint8_t kPriorityMask = 0x03;
inline constexpr std::uint8_t kExtended = 0x04;
inline constexpr std::uint8_t kFailed = 0x08;
inline constexpr std::uint8_t kCancels = 0x10; // takes back the request with this correlation
inline constexpr std::uint8_t kDurable = 0x20; // is to be on disk before it is relied upon
inline constexpr std::uint8_t kApart = 0x40;   // the next record begins at a multiple of kPair
inline constexpr std::uint8_t kSkip = 0x80;    // no message (PublishWord::skips)
inline constexpr std::uint8_t kKnownFlags =    // of a message
    kPriorityMask | kExtended | kFailed | kCancels | kDurable | kApart;

struct PublishWord {
  std::uint32_t size = 0;
  std::uint16_t tag = 0;
  std::uint8_t type = 0;
  std::uint8_t flags = 0;

  [[nodiscard]] static constexpr PublishWord unpack(std::uint64_t word) {
    return {static_cast<std::uint32_t>(word), static_cast<std::uint16_t>(word >> 32),
            static_cast<std::uint8_t>(word >> 48), static_cast<std::uint8_t>(word >> 56)};
  }
  [[nodiscard]] constexpr std::uint64_t pack() const {
    return std::uint64_t{size} | std::uint64_t{tag} << 32 | std::uint64_t{type} << 48 |
           std::uint64_t{flags} << 56;
  }
  [[nodiscard]] constexpr std::size_t header_size() const {
    return sizeof(RecordHeader) + (flags & kExtended) / kExtended * sizeof(RecordExtension);
  }
  [[nodiscard]] constexpr std::uint64_t length() const {
    return header_size() + std::uint64_t{size};
  }
  // Where the next one begins, if this one begins at `position`.
  [[nodiscard]] constexpr std::uint64_t end(std::uint64_t position) const {
    const std::uint64_t unit = kGrain + (flags & kApart) / kApart * (kPair - kGrain);
    return (position + length() + (unit - 1)) & ~(unit - 1);
  }
  // No message but the rest of the ring, that nobody has written: what follows begins where the
  // ring begins. Nothing else with this flag is one, so two can never follow each other.
  [[nodiscard]] constexpr bool skips(std::uint64_t position, std::uint64_t capacity) const {
    return flags == kSkip && type == 0 && end(position) % capacity == 0;
  }
};

// What a receiver sees at a glance: a word that has none of these bits when its tag is taken away
// is that of a message without an extension, of a type and with flags that exist.
inline constexpr std::uint64_t kUnusualFlags =
    PublishWord{.flags = static_cast<std::uint8_t>(~(kPriorityMask | kDurable | kApart))}.pack();
inline constexpr std::uint64_t kUnusual =
    PublishWord{.tag = 0xFFFF, .type = 0xF8}.pack() | kUnusualFlags;

// Never 0, and another one on the next lap: a word that an earlier lap left behind is no record.
// [pure]
[[nodiscard]] constexpr std::uint16_t tag_of(std::uint64_t position) {
  const std::uint64_t grain = position / kGrain;
  return static_cast<std::uint16_t>(0x8000U | ((grain + (grain >> 15)) & 0x7FFFU));
}

// Positions are multiples of a grain: this bit is theirs never, and 0 is no position.
inline constexpr std::uint64_t kBuried = 1;
// Where a receiver begins that finds these words; `capacity` bounds what is believed. [pure]
[[nodiscard]] constexpr std::uint64_t first_unburied(std::uint64_t tail, std::uint64_t buried,
                                                     std::uint64_t capacity) {
  const std::uint64_t position = buried - kBuried;
  return buried % kGrain == kBuried && position - tail <= capacity ? position : tail;
}

[[nodiscard]] constexpr bool is_ring_size(std::uint64_t bytes) {
  return bytes >= kMinRing && bytes <= kMaxRing && (bytes & (bytes - 1)) == 0;
}

// One grain always stays free: it holds the 0 that ends the published records.
[[nodiscard]] constexpr std::uint64_t largest_payload(std::uint64_t capacity) {
  return capacity - kGrain - sizeof(RecordHeader) - sizeof(RecordExtension);
}

[[nodiscard]] constexpr std::uint64_t message_id(std::uint64_t position) {
  return position / kGrain + 1;
}

// Half octaves from 32 ns on. [pure]
[[nodiscard]] constexpr std::size_t latency_bucket(std::uint64_t ns) {
  if (ns < 32) return 0;
  const auto octave = static_cast<std::size_t>(std::bit_width(ns)) - 1;
  const std::size_t half = ns >> (octave - 1) & 1U;
  return std::min((octave - 5) * 2 + half + 1, kLatencyBuckets - 1);
}
// What the bucket holds lies below. [pure]
[[nodiscard]] constexpr std::uint64_t bucket_limit_ns(std::size_t bucket) {
  const std::uint64_t octave = std::uint64_t{32} << bucket / 2;
  return bucket % 2 == 0 ? octave : octave + octave / 2;
}
static_assert(latency_bucket(31) == 0 && bucket_limit_ns(0) == 32);
static_assert(latency_bucket(32) == 1 && bucket_limit_ns(1) == 48);
static_assert(latency_bucket(48) == 2 && bucket_limit_ns(2) == 64 && latency_bucket(63) == 2);

} // namespace mohhos::ipc
