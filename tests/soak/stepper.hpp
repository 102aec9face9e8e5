// Runs a function in a child, one machine instruction at a time, and kills a copy of the child at
// each: what a process leaves behind that was killed after exactly k instructions, for every k.
//
// A fresh child for each k would step k instructions again: n²/2 steps. Here one child goes through
// the function once, and at each stop it is made to fork: the copy, which has executed the same
// instructions and no other, gets SIGKILL and is waited for. n steps and n deaths.
#pragma once

#include <cstdint>
#include <functional>
#include <sys/types.h>

namespace mohhos::soak {

struct StepOptions {
  // The child will block in this system call next: see to it that it returns.
  std::function<void()> unblock;
};

// Runs `operation` in a child; after each death calls `after_death(k)`, with the child stopped and
// everything that it shares as the dead copy left it. Whatever that changes in shared memory it
// must put back. Returns the number of deaths. Aborts with a message when ptrace does not do what
// it should. [any]
std::uint64_t step_through(const std::function<void()>& operation, const StepOptions& options,
                           const std::function<void(std::uint64_t)>& after_death);

// Whether this process may trace its children (a container can forbid it). [any]
bool can_step();

} // namespace mohhos::soak
