// A bounds-checked reader of foreign bytes. Every access says whether it lay inside; nothing is
// read through a pointer that came from the input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <type_traits>

namespace mohhos {

class Reader {
public:
  constexpr explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  // The range [offset, offset+size), or nothing if any of it lies outside. No overflow. [pure]
  [[nodiscard]] constexpr std::optional<std::span<const std::byte>>
  range(std::uint64_t offset, std::uint64_t size) const {
    if (offset > bytes_.size() || size > bytes_.size() - offset) return std::nullopt;
    return bytes_.subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(size));
  }

  // A copy of the T at offset (no alignment needed), or nothing. [pure]
  template <class T>
    requires std::is_trivially_copyable_v<T>
  [[nodiscard]] std::optional<T> at(std::uint64_t offset) const {
    const auto found = range(offset, sizeof(T));
    if (!found) return std::nullopt;
    T value;
    std::memcpy(&value, found->data(), sizeof(T));
    return value;
  }

  [[nodiscard]] constexpr std::size_t size() const { return bytes_.size(); }

private:
  std::span<const std::byte> bytes_;
};

} // namespace mohhos
