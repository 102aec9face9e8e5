// Control groups: the kernel's own limits, an atomic kill, the freezer, and the answer to 'is it
// empty?'.
//
// Two layouts are alike enough for one code path. Pure v2: one tree does everything. Hybrid (many
// test machines): the v2 tree carries no controllers but still kills, freezes, tells emptiness and
// takes a process at its birth (CLONE_INTO_CGROUP), while the limits are v1's, one hierarchy each.
// A v1-frozen task ignores SIGKILL until it is thawed, so the v1 freezer is never used. One table
// (cgroup.cpp) names each knob in both columns; cgroup_tree.hpp knows the file system.
//
// Ours are only groups called mohhos-<8 hex>/<plugin>.<id>.<generation> beneath the group in which
// this process runs, in every hierarchy; whoever opens the instance may sweep what a dead one of
// the same name left.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "base/ids.hpp"
#include "model/wall.hpp"
#include "sandbox/cgroup_tree.hpp"
#include "sys/fd.hpp"

namespace mohhos::sandbox {

enum class Controller : unsigned char { Memory = 0, Cpu, Pids };
inline constexpr std::array kControllers = {Controller::Memory, Controller::Cpu, Controller::Pids};

enum class CgroupLayout : unsigned char { None, Hybrid, Unified };

struct GroupLimits {
  std::uint64_t memory_bytes = 0; // 0: no limit is set
  std::uint32_t cpu_percent = 0;
  std::uint32_t processes = 0;
};

// The groups of one plugin process. Owns the directories: remove() takes them away; a Group that is
// only destroyed leaves them (the plugin may outlive us), for a sweep to find.
class Group {
public:
  Group() = default;

  // The v2 directory, for CLONE_INTO_CGROUP; -1: there is none. [any]
  [[nodiscard]] int clone_fd() const noexcept { return unified_.fd.get(); }
  // The doors of the v1 hierarchies: whoever writes "0" into each of them is inside, which only a
  // process with one thread should do. None in pure v2. (Moving another process, or a whole one by
  // cgroup.procs, stops the clones and exits of the whole machine for an RCU grace period, some 10
  // ms; a thread that moves itself does not.) [any]
  [[nodiscard]] Result<std::vector<sys::Fd>> open_doors() const;

  // SIGKILL for all that is inside, atomically (cgroup.kill), frozen or not. [any]
  [[nodiscard]] Result<> kill() const;
  // Freezes, and waits until the kernel says that all of it stands still; TimedOut leaves it
  // freezing. [any]
  [[nodiscard]] Result<>
  freeze(std::chrono::milliseconds patience = std::chrono::milliseconds(200)) const;
  [[nodiscard]] Result<> thaw() const;
  [[nodiscard]] Result<bool> populated() const;
  // How many processes the group's own memory limit has killed. [any]
  [[nodiscard]] Result<std::uint64_t> out_of_memory_kills() const;
  // Waits until it is empty, then removes the directories in every hierarchy. [any]
  [[nodiscard]] Result<>
  remove(std::chrono::milliseconds patience = std::chrono::milliseconds(1000));

  // Which limits the kernel enforces here: MemoryLimit, CpuLimit, ProcessLimit. [any]
  [[nodiscard]] model::WallSet walls() const noexcept { return walls_; }
  // Where to read the statistics of a controller (memory.usage_in_bytes or memory.current, cpu.stat
  // of the v2 tree with usage_usec, pids.current); empty: nowhere. [any]
  [[nodiscard]] const std::string& directory(Controller controller) const noexcept {
    return directories_[static_cast<std::size_t>(controller)];
  }

private:
  friend class Cgroups;
  struct Directory {
    std::string path; // empty: not used
    sys::Fd fd;
  };
  Directory unified_;
  std::array<Directory, kControllers.size()> v1_;
  std::array<std::string, kControllers.size()> directories_; // where the statistics are
  std::array<bool, kControllers.size()> in_v1_{};
  model::WallSet walls_ = 0;
};

// All hierarchies, and our instance's directory in each. Must outlive its groups.
class Cgroups {
public:
  // Finds the mounts, makes mohhos-<instance> beneath our own group, enables the controllers (v2).
  // Never an error: where nothing is mounted or delegated the layout is None and reason() says why.
  // [any]
  [[nodiscard]] static Cgroups open(std::uint32_t instance);
  Cgroups() = default;
  Cgroups(Cgroups&&) noexcept = default;
  Cgroups& operator=(Cgroups&&) noexcept = default;

  [[nodiscard]] CgroupLayout layout() const noexcept { return layout_; }
  [[nodiscard]] const std::string& reason() const noexcept { return reason_; }
  // MemoryLimit, CpuLimit, ProcessLimit, as far as a group made here will have them. [any]
  [[nodiscard]] model::WallSet walls() const noexcept { return walls_; }
  // The limits are v1's. [any]
  [[nodiscard]] bool limits_in_v1() const noexcept { return layout_ == CgroupLayout::Hybrid; }

  // `<plugin>.<id>.<generation>` in every hierarchy, limits set. Exists: the name is in use. [any]
  [[nodiscard]] Result<Group> make(std::string_view plugin, PluginId id, Generation generation,
                                   const GroupLimits& limits) const;

  // Kills and removes every group that a former life of this instance left, wherever in the
  // hierarchies it ran. Call it before make(), with the instance's lock held. Returns how many were
  // removed. [any]
  [[nodiscard]] Result<unsigned> sweep();
  // Removes the instance's own directories; all groups must be gone. Nothing of us is left then.
  // [any]
  void remove();

private:
  struct Hierarchy {
    std::string mount;     // "/sys/fs/cgroup/memory"; empty: not mounted
    std::string directory; // of the instance; empty: none could be made
    sys::Fd fd;            // of that directory
  };
  void open_v1(Controller controller, const OwnPlace& place);
  void open_unified(const OwnPlace& place);
  [[nodiscard]] Result<> fill(Group& group, const std::string& leaf,
                              const GroupLimits& limits) const;

  CgroupLayout layout_ = CgroupLayout::None;
  std::string name_; // "mohhos-1a2b3c4d"
  std::string reason_;
  model::WallSet walls_ = 0;
  Hierarchy unified_;
  std::array<Hierarchy, kControllers.size()> v1_;
  std::array<bool, kControllers.size()> in_unified_{}; // controllers that the v2 tree gives us
  // v2: where this process had to move to, so that its group may have controllers; and whence.
  std::string own_leaf_;
  std::string own_home_;
};

// "cgroup v1 memory.limit_in_bytes": what enforces a limit, for people; `v1` as
// Cgroups::limits_in_v1. [pure]
[[nodiscard]] std::string_view knob_name(Controller controller, bool v1) noexcept;

} // namespace mohhos::sandbox
