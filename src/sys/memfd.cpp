#include "sys/memfd.hpp"

#include <cerrno>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/file.hpp"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U // Linux 6.3
#endif

namespace mohhos::sys {

Result<Fd> make_memfd(const char* name, mode_t mode) {
  Fd fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL));
  if (!fd && errno == EINVAL) fd = Fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return fail_errno("memfd_create");
  if (::fchmod(fd.get(), mode) != 0) return fail_errno("fchmod of a memfd");
  return fd;
}

Result<Fd> make_sealed(const char* name, std::span<const std::byte> bytes) {
  TRY(Fd fd, make_memfd(name));
  TRY(write_all(fd.get(), {reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
  TRY(add_seals(fd.get(), kSealedContent));
  return fd;
}

Result<Fd> seal_file(int file_fd, const char* name, Bytes limit) {
  struct stat status{};
  if (::fstat(file_fd, &status) != 0) return fail_errno("fstat");
  if (static_cast<std::uint64_t>(status.st_size) > limit.count)
    return fail(Code::TooLarge, "{} bytes, and the limit is {}", status.st_size, limit.count);
  TRY(Fd fd, make_memfd(name));
  std::uint64_t copied = 0;
  char chunk[65536];
  for (;;) {
    const ssize_t got = ::read(file_fd, chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read");
    if (got == 0) break;
    copied += static_cast<std::uint64_t>(got);
    if (copied > limit.count)
      return fail(Code::TooLarge, "it grew past the limit of {} bytes", limit.count);
    TRY(write_all(fd.get(), {chunk, static_cast<std::size_t>(got)}));
  }
  TRY(add_seals(fd.get(), kSealedContent));
  return fd;
}

Result<> add_seals(int fd, int seals) {
  if (::fcntl(fd, F_ADD_SEALS, seals) == 0) return {};
  if (errno == EBUSY)
    return fail(Code::Refused, "somebody still has the memory mapped for writing");
  return fail_errno("F_ADD_SEALS");
}

Result<Fd> reopen_read_only(int fd) {
  const std::string path = fmt::format("/proc/self/fd/{}", fd);
  Fd opened(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!opened) return fail_errno("opening a memory read-only");
  return opened;
}

Result<Bytes> verify_seals(int fd, int seals) {
  const int present = ::fcntl(fd, F_GET_SEALS);
  if (present < 0) return fail(Code::Untrusted, "not a sealable memory file");
  if ((present & seals) != seals)
    return fail(Code::Untrusted, "its seals are {:#x}, and {:#x} are needed", present, seals);
  struct stat status{};
  if (::fstat(fd, &status) != 0) return fail_errno("fstat");
  return Bytes{static_cast<std::uint64_t>(status.st_size)};
}

} // namespace mohhos::sys
