// The parent half of a launch: from a Spec to a process that stands behind its walls and waits at
// the gate.
//
// Everything that can be decided or opened is decided and opened here, before the clone, as the
// warden: mount sources by descriptor, their type checked on what was opened, cloned into detached
// trees (open_tree) with their flags set. (A descriptor of the warden's mount namespace cannot be
// bound inside the child's: the kernel demands that the source belong to the caller's namespace or
// to none. Detached trees belong to none.) The child half (child.cpp) is a straight list of system
// calls that only puts the prepared things in their places.
#pragma once

#include <span>
#include <string_view>

#include <sys/types.h>

#include "sandbox/cgroup.hpp"
#include "sandbox/gate.hpp"
#include "sandbox/spec.hpp"
#include "sandbox/verify.hpp"

namespace mohhos::sandbox {

// Ids as the spawner's own user namespace has them; inside the sandbox they are kInsideId.
struct Ids {
  uid_t uid = 0;
  gid_t gid = 0;
  bool own = true; // nobody else has this uid (false: the ordinary user's single id)
  // Whether the child may empty its supplementary groups: false where an ordinary user's namespace
  // has setgroups denied. They are then nobody's groups inside, but still the user's outside.
  bool drop_groups = true;
};
inline constexpr uid_t kInsideId = 1000;

struct SpawnRequest {
  const Spec& spec; // verified: verify_spec
  Ids ids;
  const Group* group = nullptr; // made for this process; null: rlimits stand in
  int host = -1;                // O_PATH: mohhos-plugin-host
  int image = -1;  // O_PATH: the verified bytes, a file on a mount of ours; -1: no /plugin
  int link = -1;   // becomes kFdLink
  int boot = -1;   // becomes kFdBoot
  int output = -1; // becomes 1
  int errors = -1; // becomes 2
  std::span<const char* const>
      arguments; // NULL-terminated inside the span; empty: {"mohhos-plugin-host"}
};

struct Spawned {
  pid_t pid = 0;
  sys::Fd pidfd;
  sys::Fd gate; // our end, non-blocking: poll it, then receive_report()
};

// Clones, maps the ids, puts the child into its groups, and lets it go on. What fails in the child
// afterwards comes through the gate. NoSandbox, NotFound, Denied: a source or a namespace, named.
// On error nothing is left running. [any]
[[nodiscard]] Result<Spawned> spawn(const SpawnRequest& request);

// The walls that inspect() judges; probe.hpp has those that the child judges.
inline constexpr model::WallSet kSeenFromOutside =
    model::wall_bit(model::Wall::OwnUid) | model::wall_bit(model::Wall::UserNamespace) |
    model::wall_bit(model::Wall::MountNamespace) | model::wall_bit(model::Wall::PidNamespace) |
    model::wall_bit(model::Wall::NetNamespace) | model::wall_bit(model::Wall::IpcNamespace) |
    model::wall_bit(model::Wall::UtsNamespace) | model::wall_bit(model::Wall::CgroupNamespace) |
    model::wall_bit(model::Wall::NoCapabilities) | model::wall_bit(model::Wall::NoNewPrivileges) |
    model::wall_bit(model::Wall::NoTerminal) | model::wall_bit(model::Wall::Seccomp);

// What is proven about a child from outside, through /proc: namespaces that differ from ours,
// Seccomp: 2, NoNewPrivs: 1, empty capability sets, its ids, no controlling terminal. [any]
[[nodiscard]] Result<model::WallSet> inspect(pid_t pid, const Ids& ids);

// What stands for sure: a wall that both sides can judge must stand for both; the limits are the
// group's. [pure]
[[nodiscard]] model::WallSet combine_walls(model::WallSet probed, model::WallSet seen,
                                           model::WallSet limits);

// What this kernel and this mode can give at all (no process is made): Hello::buildable. [any]
struct Buildable {
  model::WallSet walls = 0;
  std::uint32_t landlock_abi = 0;
};
[[nodiscard]] Buildable find_buildable(const Cgroups& cgroups, bool own_uids);

} // namespace mohhos::sandbox
