#include "sys/mapping.hpp"

#include <sys/mman.h>

#include "sys/memfd.hpp"

namespace mohhos::sys {

Mapping::Mapping(Mapping&& other) noexcept
    : address_(std::exchange(other.address_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  if (this != &other) {
    if (address_ != nullptr) ::munmap(address_, size_);
    address_ = std::exchange(other.address_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

Mapping::~Mapping() {
  if (address_ != nullptr) ::munmap(address_, size_);
}

Result<Mapping> map_shared(int fd, std::size_t offset, std::size_t size, Access access) {
  const int protection = access == Access::ReadWrite ? PROT_READ | PROT_WRITE : PROT_READ;
  void* address = ::mmap(nullptr, size, protection, MAP_SHARED, fd, static_cast<off_t>(offset));
  if (address == MAP_FAILED) return fail_errno(fmt::format("mapping {} bytes", size));
  return Mapping(address, size);
}

Result<Mapping> map_sealed(int fd) {
  TRY(const Bytes size, verify_seals(fd, kSealedContent & ~F_SEAL_SEAL));
  if (size.count == 0) return Mapping();
  return map_shared(fd, 0, static_cast<std::size_t>(size.count), Access::ReadOnly);
}

} // namespace mohhos::sys
