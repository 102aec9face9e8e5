// The steps from a forked child to an unprivileged program. In the child only, single-threaded; the
// caller exits on any error.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include <sys/types.h>

#include "sys/fd.hpp"

namespace mohhos::sys {

// What a daemon wants, whoever started it: 0 to 2 open and nothing else, no SIGPIPE, umask 077, as
// many descriptors as allowed, no core dump with memory of others in it. [any]
void begin_as_daemon();
// Asks the kernel to end others first; children inherit it, and should get the former value
// back, which is the answer. Nothing where that is not allowed (CAP_SYS_RESOURCE). [any]
std::optional<int> lower_oom_score(int score);

// Every signal as a new process has it, none blocked. [any]
void reset_signals();

// These ids, no groups (where setgroups is allowed), empty capability sets (the bounding set
// too), no_new_privs. [any]
[[nodiscard]] Result<> drop_privileges(uid_t uid, gid_t gid, bool drop_groups);

// Descriptor i of the list becomes i; everything above closes at exec. -1: /dev/null. [any]
[[nodiscard]] Result<> set_descriptors(std::span<const int> list);

// The words as exec takes them, with a null behind the last; valid as long as they are. [any]
[[nodiscard]] std::vector<char*> pointers(std::vector<std::string>& words);

// Executes an O_PATH descriptor; returns only to say why not. [any]
[[nodiscard]] Error execute(int program, std::vector<std::string> arguments,
                            std::vector<std::string> environment);

} // namespace mohhos::sys
