#include "sys/fd.hpp"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

#include "base/check.hpp"

namespace mohhos::sys {

void Fd::reset(int fd) noexcept {
  const int old = std::exchange(fd_, fd);
  // EBADF here means that somebody else closed our descriptor, and perhaps a stranger's next time.
  if (old >= 0) CHECK(::close(old) == 0 || errno != EBADF);
}

Result<Fd> Fd::duplicate() const {
  const int copy = ::fcntl(fd_, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) return fail_errno("duplicating a file descriptor");
  return Fd(copy);
}

} // namespace mohhos::sys
