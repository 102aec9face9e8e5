#include "ipc/doorbell.hpp"

#include <cerrno>
#include <cstdint>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace mohhos::ipc {

Result<sys::Fd> make_doorbell() {
  sys::Fd bell(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!bell) return fail_errno("eventfd");
  return bell;
}

Result<sys::Fd> make_bell_ear(const sys::Fd& bell) {
  sys::Fd ear(::epoll_create1(EPOLL_CLOEXEC));
  if (!ear) return fail_errno("epoll_create1");
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  if (::epoll_ctl(ear.get(), EPOLL_CTL_ADD, bell.get(), &event) != 0)
    return fail_errno("epoll_ctl");
  return ear;
}

void ring_doorbell(int bell) noexcept {
  const std::uint64_t once = 1;
  ssize_t put = 0;
  do put = ::write(bell, &once, sizeof once);
  while (put < 0 && errno == EINTR);
}

} // namespace mohhos::ipc
