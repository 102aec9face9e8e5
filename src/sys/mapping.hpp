// An owned range of mapped memory.
#pragma once

#include <cstddef>
#include <span>

#include "base/units.hpp"
#include "sys/fd.hpp"

namespace mohhos::sys {

class Mapping {
public:
  Mapping() = default;
  Mapping(void* address, std::size_t size)
      : address_(static_cast<std::byte*>(address)), size_(size) {}
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping();

  [[nodiscard]] std::byte* data() const noexcept { return address_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {address_, size_}; }

private:
  std::byte* address_ = nullptr;
  std::size_t size_ = 0;
};

enum class Access { ReadOnly, ReadWrite };

// Maps [offset, offset+size) shared. The caller has checked the file's size and seals. [any]
[[nodiscard]] Result<Mapping> map_shared(int fd, std::size_t offset, std::size_t size,
                                         Access access);

// Maps the whole of a sealed memfd read-only; Untrusted if its content can still change. [any]
[[nodiscard]] Result<Mapping> map_sealed(int fd);

} // namespace mohhos::sys
