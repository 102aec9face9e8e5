// A ring's memory with pages around it that nobody may touch: a step outside is a SIGSEGV, not a
// wrong byte. Both sides can write everything, as a hostile peer can write its part.
#pragma once

#include <cstdlib>
#include <sys/mman.h>

#include "ipc/ring.hpp"
#include "sys/memfd.hpp"

namespace mohhos::soak {

// [guard][header page][ring][ring again][guard][control page][guard]
class GuardedRing {
public:
  explicit GuardedRing(std::uint64_t capacity) : capacity_(capacity) {
    const std::size_t ring = capacity;
    bytes_ = 5 * kPage + 2 * ring;
    auto fd = sys::make_memfd("soak-ring", 0600);
    if (!fd || ::ftruncate(fd->get(), static_cast<off_t>(2 * kPage + ring)) != 0) std::abort();
    void* const reserved = ::mmap(nullptr, bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (reserved == MAP_FAILED) std::abort();
    base_ = static_cast<std::byte*>(reserved);
    place(fd->get(), kPage, kPage + ring, 0);
    place(fd->get(), 2 * kPage + ring, ring, kPage);
    place(fd->get(), 3 * kPage + 2 * ring, kPage, kPage + ring);
    *header() = {};
    *control() = {};
  }
  ~GuardedRing() { ::munmap(base_, bytes_); }
  GuardedRing(const GuardedRing&) = delete;
  GuardedRing& operator=(const GuardedRing&) = delete;

  [[nodiscard]] ipc::DataHeader* header() const {
    return reinterpret_cast<ipc::DataHeader*>(base_ + kPage);
  }
  [[nodiscard]] std::byte* data() const { return base_ + 2 * kPage; }
  [[nodiscard]] ipc::Control* control() const {
    return reinterpret_cast<ipc::Control*>(base_ + 3 * kPage + 2 * capacity_);
  }
  [[nodiscard]] std::uint64_t* word(std::uint64_t position) const {
    return reinterpret_cast<std::uint64_t*>(data() + (position & (capacity_ - 1)));
  }
  [[nodiscard]] std::uint64_t capacity() const { return capacity_; }
  [[nodiscard]] bool holds(std::span<const std::byte> bytes) const {
    return bytes.data() >= data() && bytes.data() + bytes.size() <= data() + 2 * capacity_;
  }
  [[nodiscard]] ipc::RingSender sender() const {
    return ipc::RingSender(
        {.header = header(), .data = data(), .control = control(), .capacity = capacity_}, 1);
  }
  [[nodiscard]] ipc::RingReceiver receiver() const {
    return ipc::RingReceiver(
        {.header = header(), .data = data(), .control = control(), .capacity = capacity_});
  }

private:
  static constexpr std::size_t kPage = ipc::kHeaderPage;
  void place(int fd, std::size_t at, std::size_t size, std::size_t offset) {
    if (::mmap(base_ + at, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
               static_cast<off_t>(offset)) == MAP_FAILED)
      std::abort();
  }
  std::uint64_t capacity_;
  std::size_t bytes_ = 0;
  std::byte* base_ = nullptr;
};

} // namespace mohhos::soak
