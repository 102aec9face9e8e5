// What every contestant does with a payload, so that none is ahead because it did less.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace mohhos::bench {

// For latency and small messages: a size that the compiler knows. The sender writes all of it, the
// receiver looks at the last byte.
template <std::size_t Size>
void fill(void* to) {
  std::memset(to, 1, Size);
}
template <std::size_t Size>
unsigned look(const void* from) {
  return static_cast<const volatile unsigned char*>(from)[Size - 1];
}

// For messages of every size: the sender has the bytes somewhere else, as a program has; the
// receiver reads one word of each cache line.
class Source {
public:
  explicit Source(std::size_t size) : bytes_(size, std::byte{1}) {}
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  void copy_to(void* to) const { std::memcpy(to, bytes_.data(), bytes_.size()); }

private:
  std::vector<std::byte> bytes_;
};
[[nodiscard]] inline std::uint64_t look_at_all(std::span<const std::byte> bytes) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i + sizeof sum <= bytes.size(); i += 64) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i, sizeof word);
    sum += word;
  }
  return sum;
}

} // namespace mohhos::bench
