#include "sys/duplicate.hpp"

#include <fcntl.h>

namespace mohhos::sys {

Result<Fd> duplicate(int fd) {
  Fd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy) return fail_errno("duplicating a file descriptor");
  return copy;
}

Result<std::vector<Fd>> duplicate_all(std::span<const int> fds) {
  std::vector<Fd> copies;
  copies.reserve(fds.size());
  for (const int fd : fds) {
    TRY(Fd copy, duplicate(fd));
    copies.push_back(std::move(copy));
  }
  return copies;
}

} // namespace mohhos::sys
