// The steps from a forked child to an unprivileged program. In the child only, single-threaded; the
// caller exits on any error.
#pragma once

#include <span>
#include <string>
#include <vector>

#include <sys/types.h>

#include "sys/fd.hpp"

namespace mohhos::sys {

// Every signal as a new process has it, none blocked. [any]
void reset_signals();

// These ids, no groups (where setgroups is allowed), empty capability sets (the bounding set
// too), no_new_privs. [any]
[[nodiscard]] Result<> drop_privileges(uid_t uid, gid_t gid, bool drop_groups);

// Descriptor i of the list becomes i; everything above closes at exec. -1: /dev/null. [any]
[[nodiscard]] Result<> set_descriptors(std::span<const int> list);

// Executes an O_PATH descriptor; returns only to say why not. [any]
[[nodiscard]] Error execute(int program, std::vector<std::string> arguments,
                            std::vector<std::string> environment);

} // namespace mohhos::sys
