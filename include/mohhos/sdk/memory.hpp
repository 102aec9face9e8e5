// Memories that ride along messages: for what is to outlive a message, or to reach several
// receivers without a copy.
//
//   Memory picture = make_memory(width * height);        // in a hook of the plugin
//   draw(picture.bytes());
//   screen.send(Header{width, height}, {.memory = &picture});
//
//   MemoryView picture = message.memory();               // there; keep it as long as you like
//
// What arrives can be parsed in place: the kernel lets nobody write it any more. Both types belong
// to the plugin's main thread; the bytes may be read and written on any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "mohhos/sdk/failure.hpp"

namespace mohhos {

namespace detail {
// The one table of the plugin's process: for what gets no argument, as the terminate handler.
inline const mohhos_host_t* process_host = nullptr;

// A mohhos_memory_t that is dropped in the end.
class OwnedNumber {
public:
  OwnedNumber() = default;
  OwnedNumber(const mohhos_host_t* host, mohhos_memory_t number) : host_(host), number_(number) {}
  OwnedNumber(OwnedNumber&& other) noexcept
      : host_(other.host_), number_(std::exchange(other.number_, 0)) {}
  OwnedNumber& operator=(OwnedNumber&& other) noexcept {
    std::swap(host_, other.host_);
    std::swap(number_, other.number_);
    return *this;
  }
  ~OwnedNumber() {
    if (number_ != 0) static_cast<void>(host_->drop_memory(host_, number_));
  }
  [[nodiscard]] mohhos_memory_t get() const { return number_; }

private:
  const mohhos_host_t* host_ = nullptr;
  mohhos_memory_t number_ = 0;
};
} // namespace detail

// A memory of one's own, writable until it is sent for the first time. It can be sent again, to
// others too. Dropped with this object; what was sent still reaches its receivers.
class Memory {
public:
  Memory() = default;
  Memory(const mohhos_host_t* host, mohhos_memory_t number, std::span<std::byte> bytes)
      : number_(host, number), bytes_(bytes), size_(bytes.size()) {}
  Memory(Memory&& other) noexcept
      : number_(std::move(other.number_)), bytes_(std::exchange(other.bytes_, {})),
        size_(std::exchange(other.size_, 0)) {}
  Memory& operator=(Memory&& other) noexcept {
    std::swap(number_, other.number_);
    std::swap(bytes_, other.bytes_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Memory() = default;

  [[nodiscard]] explicit operator bool() const { return number_.get() != 0; }
  [[nodiscard]] std::size_t size() const { return size_; }
  // All zeros at first. Empty from the first send on, even if that failed: it is not there any
  // more.
  [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }
  // For a call that sends it.
  [[nodiscard]] mohhos_memory_t take_for_sending() {
    bytes_ = {};
    return number_.get();
  }

private:
  detail::OwnedNumber number_;
  std::span<std::byte> bytes_;
  std::size_t size_ = 0;
};

// A memory that came with a message: its bytes stay there, unchanged, as long as this object.
class MemoryView {
public:
  MemoryView() = default;
  MemoryView(const mohhos_host_t* host, mohhos_memory_t number, std::span<const std::byte> bytes)
      : number_(host, number), bytes_(bytes) {}
  MemoryView(MemoryView&& other) noexcept
      : number_(std::move(other.number_)), bytes_(std::exchange(other.bytes_, {})) {}
  MemoryView& operator=(MemoryView&& other) noexcept {
    std::swap(number_, other.number_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~MemoryView() = default;

  [[nodiscard]] explicit operator bool() const { return number_.get() != 0; }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

private:
  detail::OwnedNumber number_;
  std::span<const std::byte> bytes_;
};

} // namespace mohhos
