#include "ipc/doorbell.hpp"

#include <cerrno>
#include <cstdint>
#include <sys/eventfd.h>
#include <unistd.h>

namespace mohhos::ipc {

Result<sys::Fd> make_doorbell() {
  sys::Fd bell(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!bell) return fail_errno("eventfd");
  return bell;
}

void ring_doorbell(int bell) noexcept {
  const std::uint64_t once = 1;
  ssize_t put = 0;
  do put = ::write(bell, &once, sizeof once);
  while (put < 0 && errno == EINTR);
}

} // namespace mohhos::ipc
