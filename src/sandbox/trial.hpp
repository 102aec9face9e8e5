// Any program in exactly the plugins' sandbox: what one cannot probe one cannot trust.
//
// The launcher is the warden's (spawn, gate, listener) and the confinement is the host's (enter);
// the only difference is that the confined process execs a program where a plugin's host loads one.
// That takes can_create_processes: execve stays open, files may be mapped executable, and there is
// no second filter.
#pragma once

#include <string>
#include <vector>

#include "base/error.hpp"

namespace mohhos::sandbox {

struct TrialOptions {
  std::vector<std::string> read; // granted besides the program itself
  std::vector<std::string> write;
  std::uint64_t memory_mb = 256;
  std::vector<std::string> arguments; // the program first; looked for in PATH
  bool quiet = false;                 // do not say what was refused
};

// argv[0] of this program when it is started inside the sandbox.
inline constexpr char kInsideName[] = "mohhos-sandbox-inside";

// Launches, passes output and errors on, answers and names what is refused (on standard error),
// waits. The program's exit status, or 128 + its signal. As root with a uid of its own and control
// groups; as an ordinary user in a user namespace of one id, which is said. [any]
[[nodiscard]] Result<int> run_trial(const TrialOptions& options);

// The other side, in the sandbox: confines itself, then execs arguments[1…]. Does not return on
// success. [any]
[[nodiscard]] Error enter_and_exec(char** arguments);

} // namespace mohhos::sandbox
