// A ring's memory with pages around it that nobody may touch: a step outside is a SIGSEGV, not a
// wrong byte. Both sides can write everything, as a hostile peer can write its part.
#pragma once

#include <cstdlib>
#include <sys/mman.h>

#include "ipc/link.hpp"
#include "ipc/ring.hpp"
#include "sys/memfd.hpp"

namespace mohhos::soak {

// [guard][header page][ring][ring again][guard][control page][guard]
class GuardedRing {
public:
  // New memory, all of it writable.
  explicit GuardedRing(std::uint64_t capacity) : capacity_(capacity) {
    const auto data = must(sys::make_memfd("soak-ring", 0600));
    const auto control_page = must(sys::make_memfd("soak-ring-control", 0600));
    if (::ftruncate(data.get(), static_cast<off_t>(kPage + capacity)) != 0 ||
        ::ftruncate(control_page.get(), kPage) != 0)
      std::abort();
    place_all(data.get(), control_page.get(), PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE);
    *header() = {};
    *control() = {};
  }
  // A channel's, as one side may use it: a write to what is the other's is a SIGSEGV too.
  GuardedRing(int data, int control_page, std::uint64_t capacity, ipc::Role role)
      : capacity_(capacity) {
    const bool sends = role == ipc::Role::Send;
    place_all(data, control_page, sends ? PROT_READ | PROT_WRITE : PROT_READ,
              sends ? PROT_READ : PROT_READ | PROT_WRITE);
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
    return ipc::RingSender({.header = header(),
                            .map = ipc::RingMap<std::byte>::of(data(), capacity_),
                            .control = control()},
                           1);
  }
  [[nodiscard]] ipc::RingReceiver receiver() const {
    return ipc::RingReceiver({.header = header(),
                              .map = ipc::RingMap<const std::byte>::of(data(), capacity_),
                              .control = control()});
  }

private:
  static constexpr std::size_t kPage = ipc::kHeaderPage;
  static sys::Fd must(Result<sys::Fd> fd) {
    if (!fd) std::abort();
    return *std::move(fd);
  }
  void place_all(int data_fd, int control_fd, int data_access, int control_access) {
    bytes_ = 5 * kPage + 2 * capacity_;
    void* const reserved = ::mmap(nullptr, bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (reserved == MAP_FAILED) std::abort();
    base_ = static_cast<std::byte*>(reserved);
    place(data_fd, kPage, kPage + capacity_, 0, data_access);
    place(data_fd, 2 * kPage + capacity_, capacity_, kPage, data_access);
    place(control_fd, 3 * kPage + 2 * capacity_, kPage, 0, control_access);
  }
  void place(int fd, std::size_t at, std::size_t size, std::size_t offset, int access) {
    if (::mmap(base_ + at, size, access, MAP_SHARED | MAP_FIXED, fd, static_cast<off_t>(offset)) ==
        MAP_FAILED)
      std::abort();
  }
  std::uint64_t capacity_;
  std::size_t bytes_ = 0;
  std::byte* base_ = nullptr;
};

} // namespace mohhos::soak
