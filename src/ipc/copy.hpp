// Copies a payload into a ring.
//
// A long one goes past the caches: the receiver, on another core as a rule, would have to fetch
// every line out of ours. Measured between two far cores, every line read by the receiver: 2.0 GB/s
// through the caches and 9.4 past them at 16 KiB, 2.2 and 24 at 256 KiB; below 4 KiB it does not
// pay. Stores that go past the caches are not ordered with others, so a fence follows before
// anything is published.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

namespace mohhos::ipc {

inline constexpr std::size_t kPastTheCaches = std::size_t{16} << 10;

// The two do not overlap; `to` has room. [any]
inline void copy_payload(std::span<std::byte> to, std::span<const std::byte> from) noexcept {
  std::byte* target = to.data();
  const std::byte* source = from.data();
  std::size_t left = from.size();
#if defined(__x86_64__)
  if (left >= kPastTheCaches) {
    const std::size_t head = (64 - reinterpret_cast<std::uintptr_t>(target) % 64) % 64;
    std::memcpy(target, source, head);
    target += head, source += head, left -= head;
    for (; left >= 64; target += 64, source += 64, left -= 64)
      for (std::size_t part = 0; part < 64; part += 16)
        _mm_stream_si128(reinterpret_cast<__m128i*>(target + part),
                         _mm_loadu_si128(reinterpret_cast<const __m128i*>(source + part)));
    _mm_sfence();
  }
#endif
  if (left != 0) std::memcpy(target, source, left);
}

} // namespace mohhos::ipc
