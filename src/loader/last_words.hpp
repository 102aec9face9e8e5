// Why this process is about to die, said to the manager while it still can be said.
//
// The host is pid 1 of its own pid namespace: a signal that it sends itself and does not handle
// (abort's) is ignored by the kernel, and only a signal that the kernel forces (a fault) ends it.
// So: SIGABRT has a handler that exits; the faults have one that reports and then lets the default
// action happen; exit() inside the plugin is caught by atexit. All handlers run on a stack of their
// own (a stack overflow must be reportable), use no lock and no heap, and speak over the link with
// send(2).
//
// SIGSYS is the second filter's refusal (a trap). It does not end anything: the call is reported
// and returns EACCES.
//
// One per process, and so the one global state of the host.
#pragma once

#include <string_view>

#include "ipc/link.hpp"

namespace mohhos::loader {

// From here on, last words go to this link. Installs the handlers and the atexit guard. One thread,
// before dlopen.
void watch_for_death(int link) noexcept;

// What to say should the process die without an exception's text: fail()'s sentence. Cut to fit.
// [any]
void remember(std::string_view text) noexcept;
// The text that remember() was given last, and none afterwards. [loop]
std::string_view take_remembered() noexcept;

// Says these last words and ends the process with status 1, without running destructors. [any]
[[noreturn]] void die(ipc::LastWordsKind kind, std::string_view text) noexcept;

// The orderly end: exit() is ours from here on, not the plugin's. [loop]
[[noreturn]] void leave(int status) noexcept;

} // namespace mohhos::loader
