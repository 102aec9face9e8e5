// What to answer a system call that the filter did not allow and that waits at its listener.
//
// For opens the ruling is no wall. One that may pass is executed from the plugin's own memory,
// which another thread may have changed since we read it: mounts and Landlock decide what it
// reaches, and all that a racing thread can change is what the log says. Everything else is
// refused, which cannot be raced.
//
// For code it is one: memory is mapped executable only while the plugin is being loaded. Until then
// it has nothing that it could write and map again: /tmp cannot be executed, there is no memfd, and
// its channels come later. The arguments are registers, which no thread can change. (The second
// filter says the same inside the plugin, with a better record; but a constructor, which runs
// before it, could keep the host from installing it.)
#pragma once

#include <string>

#include <linux/seccomp.h>

#include "sandbox/spec.hpp"

namespace mohhos::sandbox {

// Whether the plugin's code is still being mapped.
enum class Phase : unsigned char { Loading, Settled };

struct Ruling {
  bool pass = false; // let the kernel go on with it
  int error = 0;     // else: what the caller gets
  bool log = false;  // whether anybody should hear of it
  std::string path;  // that the call names, as it was when we looked; empty: none
};

// Reads the caller's memory. [any]
[[nodiscard]] Ruling judge_call(const Spec& spec, const seccomp_notif& call, Phase phase);

// Answers it, unless the caller is gone: then what was read may have been another process's, and
// false says that the ruling is worth nothing. [any]
[[nodiscard]] bool answer_call(int listener, const seccomp_notif& call, const Ruling& ruling);

} // namespace mohhos::sandbox
