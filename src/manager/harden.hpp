// What the manager takes from itself before it reads a stranger's first byte.
#pragma once

#include "base/error.hpp"

namespace mohhos::manager {

// No new privileges, no core dumps, no ptrace by others, as many descriptors as it may have, and
// its own system call filter. The warden has given it no capabilities. NoSandbox: the filter does
// not hold. [any]
[[nodiscard]] Result<> harden();

} // namespace mohhos::manager
