// The walls of the sandbox, each with a name that reports, errors and `plugctl info` use, and the
// levels that follow from which of them stand.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mohhos::model {

enum class Wall : unsigned char {
  OwnUid = 0, // a uid that no other plugin and no user has
  UserNamespace,
  MountNamespace,
  PidNamespace,
  NetNamespace,
  IpcNamespace,
  UtsNamespace,
  CgroupNamespace,
  PrivateRoot,    // a root of its own, no /proc, nothing writable but its tmp
  NoCapabilities, // all five sets empty
  NoNewPrivileges,
  Rlimits,
  NoTerminal,       // own session, no controlling terminal
  CleanDescriptors, // only the descriptors it is meant to have
  CleanEnvironment,
  NoExecWrite, // memory is never writable and executable (PR_SET_MDWE or the filter)
  Landlock,
  LandlockScope, // ABI 6: no abstract sockets, no signals outside
  Seccomp,
  MemoryLimit, // enforced by a cgroup
  CpuLimit,
  ProcessLimit,
};
inline constexpr unsigned kWallCount = 22;

using WallSet = std::uint32_t; // bit n: Wall n
constexpr WallSet wall_bit(Wall wall) {
  return 1U << static_cast<unsigned>(wall);
}

// "own-uid", "user-namespace", … [pure]
[[nodiscard]] std::string_view wall_name(Wall wall) noexcept;
// "own-uid, landlock"; "none" for the empty set. [pure]
[[nodiscard]] std::string wall_names(WallSet walls);

// L3: every wall. L2: all but LandlockScope and the cgroup limits. L1: not even Landlock and a uid
// of its own. None: less. (The table in wall.cpp says which wall belongs to which level.)
enum class SandboxLevel : unsigned char { None = 0, L1 = 1, L2 = 2, L3 = 3 };

// Without these no plugin runs, whatever the operator's floor. [pure]
[[nodiscard]] WallSet required_walls() noexcept;
[[nodiscard]] SandboxLevel level_of(WallSet standing) noexcept;
// All walls that a level needs. [pure]
[[nodiscard]] WallSet walls_of(SandboxLevel level) noexcept;
[[nodiscard]] std::string_view level_name(SandboxLevel level) noexcept; // "none", "L1", "L2", "L3"
[[nodiscard]] std::optional<SandboxLevel> parse_level(std::string_view text) noexcept;

} // namespace mohhos::model
