// Processes by pidfd: a pid is a number that somebody else may have tomorrow, a pidfd is the
// process.
#pragma once

#include <cstdint>
#include <optional>

#include <sys/types.h>

#include "sys/fd.hpp"

namespace mohhos::sys {

[[nodiscard]] Result<Fd> open_pidfd(pid_t pid);
// Sends a signal; a process that has already ended is not an error. [any]
[[nodiscard]] Result<> send_signal(int pidfd, int signal);

struct ExitStatus {
  bool signaled = false;
  int value = 0; // exit status, or the signal's number
};
// The status of our own child once it has ended, and the child is gone; nothing while it runs.
// [any]
[[nodiscard]] Result<std::optional<ExitStatus>> reap(int pidfd);

// A non-blocking, close-on-exec signalfd for these signals, which are blocked in the calling
// thread. [any]
[[nodiscard]] Result<Fd> make_signalfd(std::initializer_list<int> signals);

} // namespace mohhos::sys
