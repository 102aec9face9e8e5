// The manager as a process: started without any privilege, found beside this program, ended with
// us.
#pragma once

#include <optional>

#include "sys/fd.hpp"
#include "warden/directories.hpp"
#include "warden/identity.hpp"

namespace mohhos::warden {

// Our own executables, opened once at the start: an upgrade on disk does not mix versions.
struct Programs {
  sys::Fd manager; // O_PATH
  sys::Fd host;
};
// Beside /proc/self/exe, else in ../libexec/mohhos from there, else in the libexec directory that
// was configured. NotFound names all three.
[[nodiscard]] Result<Programs> find_programs();

struct ManagerStart {
  const Identity& identity;
  const Place& place;
  const Directories& directories;
  int program = -1;
  int link = -1; // becomes kFdWarden; -1: none
  bool check_config = false;
  std::optional<int> former_oom_score = {};
};
// The manager's uid, no groups, no capabilities, no_new_privs, a clean environment, the descriptors
// 0 to 2 and kFdWarden, and SIGKILL when we die. What fails after the fork is said on standard
// error, and the exit status is 127. [loop]
[[nodiscard]] Result<sys::Fd> start_manager(const ManagerStart& start);

} // namespace mohhos::warden
