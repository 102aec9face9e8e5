// Where a ring's bytes are in this process's memory.
//
// The ring is mapped twice in a row, so that no record is ever split. Its beginning, which is all
// that most channels ever use (kShortLap), is mapped once more, in few addresses: a page table
// covers two megabytes of them, and a thousand idle rings of two megabytes would each have one of
// their own, at both ends, for the sake of a page or two.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ipc/layout.hpp"

namespace mohhos::ipc {

// Of a ring, mapped once more; together with the header page four of them have a page table.
inline constexpr std::uint64_t kBeginning = 2 * kShortLap - kHeaderPage;
// A payload from which on a record may reach beyond that.
inline constexpr std::uint32_t kLongPayload = std::uint32_t{1} << 16;

// Byte: std::byte, or const std::byte for who may only read.
template <class Byte>
struct RingMap {
  Byte* ring = nullptr;      // 2 × capacity
  Byte* beginning = nullptr; // the first kBeginning bytes once more
  std::uint64_t capacity = 0;
  std::uint64_t short_end = 0; // what begins before it, and is not long, lies in `beginning`. 0: it
                               // is not mapped once more

  [[nodiscard]] static RingMap of(Byte* ring, std::uint64_t capacity, Byte* beginning = nullptr) {
    return {ring, beginning, capacity, beginning == nullptr ? 0 : 3 * kShortLap / 2};
  }
  [[nodiscard]] std::uint64_t offset(std::uint64_t position) const {
    return position & (capacity - 1);
  }
  // Of a record that is not long.
  [[nodiscard]] Byte* at(std::uint64_t position) const {
    const std::uint64_t place = offset(position);
    return (place < short_end ? beginning : ring) + place;
  }
  // Of any.
  [[nodiscard]] Byte* whole_at(std::uint64_t position) const { return ring + offset(position); }
  [[nodiscard]] Byte* record(std::uint64_t position, std::uint32_t size) const {
    return size >= long_from() ? whole_at(position) : at(position);
  }
  // The payload from which on a record is long; its size has one of these bits.
  [[nodiscard]] std::uint32_t long_from() const {
    return short_end == 0 ? UINT32_MAX : kLongPayload;
  }
  [[nodiscard]] std::uint32_t long_bits() const { return short_end == 0 ? 0 : ~(kLongPayload - 1); }
};

} // namespace mohhos::ipc
