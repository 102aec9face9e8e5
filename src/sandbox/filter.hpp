// Capabilities → seccomp programs. One table (filter.cpp) of system calls, each with the capability
// that opens it, conditions on its arguments, and what happens otherwise. libseccomp compiles it
// into a binary tree; a short prelude of our own judges what libseccomp has no word for: foreign
// architectures, the x32 bit, numbers that nobody knew when this was written.
//
// Stage 1 (confine) is on before the plugin is mapped, with a listener: refused calls are answered
// by the warden with EPERM and a record. Stage 2 (tighten) comes after dlopen, for all threads:
// nothing executable can be made any more. A stage 2 refusal is a SIGSYS, which the host turns into
// EACCES and a report. Filters only ever add up.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include <linux/filter.h>

#include "base/error.hpp"
#include "model/capability.hpp"

namespace mohhos::sandbox {

enum class Verdict : unsigned char {
  Allow,
  Notify, // the warden answers: EPERM and a record; for open, the path decides what is logged
  Absent, // ENOSYS: callers fall back (clone3, numbers of the future)
  Kill,   // the whole process: nothing honest makes this call
};

struct FilterPair {
  std::vector<sock_filter> confine; // stage 1
  std::vector<sock_filter> tighten; // stage 2; empty with can_create_processes (stage 1 has it all)
};

// The last number that the table judges; later ones are Absent. [pure]
inline constexpr int kLastKnownSyscall = 450;

// Fails only when libseccomp does. [any]
[[nodiscard]] Result<FilterPair> compile_filters(model::CapabilitySet capabilities);

// Compiled once per set of capabilities that matter to the filter (building one costs 0.3 ms).
class FilterCache {
public:
  // Stays valid as long as the cache lives. [any]
  [[nodiscard]] Result<const FilterPair*> find(model::CapabilitySet capabilities);

private:
  std::map<std::uint8_t, FilterPair> pairs_;
};

// The capability that would open this call, if one would: for `why`. [pure]
struct Opening {
  Verdict verdict = Verdict::Notify; // with no capabilities and no fitting arguments
  bool any_capability = false;       // `capability` is meaningful
  model::Capability capability{};
  bool conditional = false; // allowed for some arguments even so
};
[[nodiscard]] Opening find_opening(int syscall) noexcept;

// The manager's own profile: what an event loop with files, sockets and memfds needs; all else is
// EPERM. No exec, no fork, no ptrace, no mounts, only Unix sockets. On for all threads, for good.
// [any]
[[nodiscard]] Result<> confine_manager();

} // namespace mohhos::sandbox
