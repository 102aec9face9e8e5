// What to answer a system call that the filter did not allow and that waits at its listener.
//
// The ruling is no wall. An open that may pass is executed from the plugin's own memory, which
// another thread may have changed since we read it: mounts and Landlock decide what it reaches, and
// all that a racing thread can change is what the log says. Everything else is refused, which
// cannot be raced.
#pragma once

#include <string>

#include <linux/seccomp.h>

#include "sandbox/spec.hpp"

namespace mohhos::sandbox {

struct Ruling {
  bool pass = false; // let the kernel go on with it
  int error = 0;     // else: what the caller gets
  bool log = false;  // whether anybody should hear of it
  std::string path;  // that the call names, as it was when we looked; empty: none
};

// Reads the caller's memory. [any]
[[nodiscard]] Ruling judge_call(const Spec& spec, const seccomp_notif& call);

// Answers it, unless the caller is gone: then what was read may have been another process's, and
// false says that the ruling is worth nothing. [any]
[[nodiscard]] bool answer_call(int listener, const seccomp_notif& call, const Ruling& ruling);

} // namespace mohhos::sandbox
