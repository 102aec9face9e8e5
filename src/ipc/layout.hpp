// The memory of a channel, byte for byte. docs/ring-format.md is this file in words and pictures.
//
//   data memfd     written by the sender alone, mapped read-only by the receiver
//     [0, 4096)              DataHeader
//     [4096, 4096+capacity)  the ring; mapped twice in a row, so that no record is ever split
//   control memfd  written by the receiver alone, mapped read-only by the sender
//     [0, 4096)              Control
//
// Positions are free-running 64-bit byte counts, multiples of 64; a record lies at position %
// capacity. There is no shared head: a record's first word publishes it, and the word after the
// last record is 0. So a small message moves in one cache line, where a ring with a head index
// moves two.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace mohhos::ipc {

inline constexpr std::uint32_t kRingMagic = 0x474E4952; // "RING"
inline constexpr std::uint32_t kRingVersion = 1;
inline constexpr std::size_t kLine = 64; // records are aligned to it
inline constexpr std::size_t kHeaderPage = 4096;
inline constexpr std::uint64_t kMinRing = 4096;
inline constexpr std::uint64_t kMaxRing = std::uint64_t{64} << 20;
inline constexpr std::uint64_t kDefaultRing = std::uint64_t{256} << 10;

// Each word that changes lies on a line of its own, beside nothing that the other side reads at
// another pace.
struct alignas(kLine) DataHeader {
  std::uint32_t magic = kRingMagic;
  std::uint32_t version = kRingVersion;
  std::uint64_t capacity = 0;
  // Odd: the sender sleeps until there is space; each sleep has a number of its own.
  alignas(kLine) std::uint32_t waiting = 0;
};

struct alignas(kLine) Control {
  std::uint32_t magic = kRingMagic;
  std::uint32_t version = kRingVersion;
  // The first byte that is not acknowledged; a record's bytes may be used again once it lies behind
  // it.
  alignas(kLine) std::uint64_t tail = 0;
  // Odd: the receiver sleeps until the bell rings; each sleep has a number of its own.
  alignas(kLine) std::uint32_t armed = 0;
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
  std::uint64_t reserved = 0;
};

static_assert(sizeof(RecordHeader) == 16 && sizeof(RecordExtension) == 32);
static_assert(offsetof(DataHeader, waiting) == 64 && sizeof(DataHeader) == 128);
static_assert(offsetof(Control, tail) == 64 && offsetof(Control, armed) == 128 &&
              sizeof(Control) == 192);
static_assert(sizeof(DataHeader) <= kHeaderPage && sizeof(Control) <= kHeaderPage);
static_assert(std::is_trivially_copyable_v<DataHeader> && std::is_trivially_copyable_v<Control>);

// The publish word: size of the payload (bits 0–31), tag (32–47), type (48–55), flags (56–63).
inline constexpr std::uint8_t kPriorityMask = 0x03;
inline constexpr std::uint8_t kExtended = 0x04;
inline constexpr std::uint8_t kFailed = 0x08;
inline constexpr std::uint8_t kKnownFlags = kPriorityMask | kExtended | kFailed;

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
    return (flags & kExtended) != 0 ? sizeof(RecordHeader) + sizeof(RecordExtension)
                                    : sizeof(RecordHeader);
  }
  // Bytes of the whole record, rounded up to lines; cannot overflow, whatever the size says.
  [[nodiscard]] constexpr std::uint64_t extent() const {
    return (header_size() + std::uint64_t{size} + (kLine - 1)) & ~std::uint64_t{kLine - 1};
  }
};

// Never 0, and another one on the next lap: a word that an earlier lap left behind is no record.
// [pure]
[[nodiscard]] constexpr std::uint16_t tag_of(std::uint64_t position) {
  const std::uint64_t line = position / kLine;
  return static_cast<std::uint16_t>(0x8000U | ((line + (line >> 15)) & 0x7FFFU));
}

[[nodiscard]] constexpr bool is_ring_size(std::uint64_t bytes) {
  return bytes >= kMinRing && bytes <= kMaxRing && (bytes & (bytes - 1)) == 0;
}

// One line always stays free: it holds the 0 that ends the published records.
[[nodiscard]] constexpr std::uint64_t largest_payload(std::uint64_t capacity) {
  return capacity - kLine - sizeof(RecordHeader) - sizeof(RecordExtension);
}

[[nodiscard]] constexpr std::uint64_t message_id(std::uint64_t position) {
  return position / kLine + 1;
}

} // namespace mohhos::ipc
