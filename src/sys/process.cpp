#include "sys/process.hpp"

#include <cerrno>
#include <csignal>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace mohhos::sys {

Result<Fd> open_pidfd(pid_t pid) {
  Fd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!fd) return fail_errno(fmt::format("pidfd_open of {}", pid));
  return fd;
}

Result<> send_signal(int pidfd, int signal) {
  if (::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) == 0 || errno == ESRCH) return {};
  return fail_errno(fmt::format("pidfd_send_signal of {}", signal));
}

Result<std::optional<ExitStatus>> reap(int pidfd) {
  siginfo_t info{};
  int result = 0;
  do result = ::waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED | WNOHANG);
  while (result != 0 && errno == EINTR);
  if (result != 0) return fail_errno("waitid");
  if (info.si_pid == 0) return std::optional<ExitStatus>();
  return ExitStatus{info.si_code != CLD_EXITED, info.si_status};
}

Result<Fd> make_signalfd(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) sigaddset(&set, signal);
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) return fail_errno("sigprocmask");
  Fd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return fail_errno("signalfd");
  return fd;
}

} // namespace mohhos::sys
