// The host's half of confinement: what mohhos-plugin-host does between exec and dlopen.
//
// Spawn's child half has done what needs privileges; here is what must come after exec (exec would
// undo or forbid it) and before the first byte of the plugin is mapped: memory-deny-write-execute,
// Landlock, the first filter. No libseccomp, no allocation beyond the boot block, nothing that
// starts a thread.
#pragma once

#include "sandbox/boot.hpp"

namespace mohhos::sandbox {

// Reads the boot block, confines the process, probes the walls, reports, and waits for the warden's
// Go. Closes kFdBoot and kFdGate. On error the warden has been told through the gate: just exit. To
// be called first thing in main, with one thread. [any]
[[nodiscard]] Result<Boot> enter();

// Stage 2, for all threads: call it when dlopen has returned and the SIGSYS handler is in place.
// [any]
[[nodiscard]] Result<> tighten(const Boot& boot);

} // namespace mohhos::sandbox
