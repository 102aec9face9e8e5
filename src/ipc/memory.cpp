#include "ipc/memory.hpp"

#include <fcntl.h>
#include <unistd.h>

#include "sys/memfd.hpp"

namespace mohhos::ipc {
namespace {

constexpr int kFixed = F_SEAL_SHRINK | F_SEAL_GROW;
constexpr int kSealed = kFixed | F_SEAL_WRITE;

// Seals first: what cannot shrink or grow keeps the size that is read now.
Result<sys::Mapping> map(int fd, std::uint64_t bytes, int seals, sys::Access access) {
  TRY(const Bytes found, sys::verify_seals(fd, seals));
  if (found.count != bytes || bytes == 0)
    return fail(Code::Untrusted, "a memory of {} bytes, and {} were announced", found.count, bytes);
  return sys::map_shared(fd, 0, static_cast<std::size_t>(bytes), access);
}

} // namespace

Result<sys::Fd> make_memory(std::uint64_t bytes) {
  TRY(sys::Fd fd, sys::make_memfd("mohhos-memory", 0400));
  if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0)
    return fail_errno(fmt::format("a memory of {} bytes", bytes));
  TRY(sys::add_seals(fd.get(), kFixed));
  return fd;
}

Result<> seal_memory(int fd) {
  const int present = ::fcntl(fd, F_GET_SEALS);
  if (present >= 0 && (present & kSealed) == kSealed) return {};
  auto sealed = sys::add_seals(fd, F_SEAL_WRITE | F_SEAL_SEAL);
  if (!sealed && sealed.error().code == Code::Refused) sealed.error().code = Code::BadState;
  return sealed;
}

Result<sys::Mapping> map_made_memory(int fd, std::uint64_t bytes) {
  return map(fd, bytes, kFixed, sys::Access::ReadWrite);
}

Result<sys::Mapping> map_sealed_memory(int fd, std::uint64_t bytes) {
  return map(fd, bytes, kSealed, sys::Access::ReadOnly);
}

} // namespace mohhos::ipc
