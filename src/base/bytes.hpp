// Values as the bytes that they are in memory: for what this machine writes and reads itself.
#pragma once

#include <cstddef>
#include <cstring>
#include <ranges>
#include <span>
#include <type_traits>
#include <vector>

namespace mohhos {

// Without padding: the same value is always the same bytes. No view, whose bytes are a pointer.
template <class T>
concept PlainBytes = std::has_unique_object_representations_v<T> && !std::ranges::range<T>;

// Valid as long as the value. [pure]
template <PlainBytes T>
[[nodiscard]] std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

inline void append(std::vector<std::byte>& to, std::span<const std::byte> bytes) {
  // Not insert(): gcc 12 warns of its inside.
  const std::size_t before = to.size();
  to.resize(before + bytes.size());
  if (!bytes.empty()) std::memcpy(to.data() + before, bytes.data(), bytes.size());
}
template <PlainBytes T>
void append(std::vector<std::byte>& to, const T& value) {
  append(to, bytes_of(value));
}

} // namespace mohhos
