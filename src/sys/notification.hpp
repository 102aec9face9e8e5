// System calls of others that wait for a verdict (seccomp_unotify), and what they point at.
//
// What is read of another process is a copy of what was there a moment ago: good for a log and for
// a refusal, never a reason to let pass what nothing else would stop.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <linux/seccomp.h>
#include <sys/types.h>

#include "sys/fd.hpp"

namespace mohhos::sys {

// The next call that waits; nothing when none does. Never blocks. [any]
[[nodiscard]] std::optional<seccomp_notif> receive_notification(int listener);
// Whether the caller still waits: what was read of its memory was its own. [any]
[[nodiscard]] bool still_waits(int listener, const seccomp_notif& call);
// The kernel goes on with it, reading its arguments again. A caller that is gone is no error. [any]
void let_pass(int listener, const seccomp_notif& call);
void refuse(int listener, const seccomp_notif& call, int error_number);

// Exactly these bytes, or false. [any]
[[nodiscard]] bool read_memory(pid_t pid, std::uint64_t address, void* into, std::size_t size);
// A text up to its NUL, shorter than PATH_MAX; nothing if it is longer or not there. [any]
[[nodiscard]] std::optional<std::string> read_text(pid_t pid, std::uint64_t address);
// The path of another's descriptor inside its own root; empty: there is none. [any]
[[nodiscard]] std::string path_of_descriptor(pid_t pid, int descriptor);

// The path that a call names, where it names one; a relative one of a directory's descriptor with
// that directory's path before it. Empty: none, or not readable. [any]
[[nodiscard]] std::string path_argument(const seccomp_notif& call);
// open, openat, openat2. [pure]
[[nodiscard]] bool is_open(const seccomp_notif& call);
// Whether an open could change something; when in doubt it could. [any]
[[nodiscard]] bool opens_for_writing(const seccomp_notif& call);

} // namespace mohhos::sys
