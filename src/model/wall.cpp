#include "model/wall.hpp"

namespace mohhos::model {
namespace {

// The lowest level that the wall belongs to: a level stands when all walls up to it stand.
struct Row {
  Wall wall;
  std::string_view name;
  SandboxLevel needed_for;
};
constexpr std::array kWalls = {
    Row{Wall::OwnUid, "own-uid", SandboxLevel::L2},
    Row{Wall::UserNamespace, "user-namespace", SandboxLevel::L1},
    Row{Wall::MountNamespace, "mount-namespace", SandboxLevel::L1},
    Row{Wall::PidNamespace, "pid-namespace", SandboxLevel::L1},
    Row{Wall::NetNamespace, "net-namespace", SandboxLevel::L1},
    Row{Wall::IpcNamespace, "ipc-namespace", SandboxLevel::L1},
    Row{Wall::UtsNamespace, "uts-namespace", SandboxLevel::L1},
    Row{Wall::CgroupNamespace, "cgroup-namespace", SandboxLevel::L1},
    Row{Wall::PrivateRoot, "private-root", SandboxLevel::L1},
    Row{Wall::NoCapabilities, "no-capabilities", SandboxLevel::L1},
    Row{Wall::NoNewPrivileges, "no-new-privileges", SandboxLevel::L1},
    Row{Wall::Rlimits, "rlimits", SandboxLevel::L1},
    Row{Wall::NoTerminal, "no-terminal", SandboxLevel::L1},
    Row{Wall::CleanDescriptors, "clean-descriptors", SandboxLevel::L1},
    Row{Wall::CleanEnvironment, "clean-environment", SandboxLevel::L1},
    Row{Wall::NoExecWrite, "no-exec-write", SandboxLevel::L1},
    Row{Wall::Landlock, "landlock", SandboxLevel::L2},
    Row{Wall::LandlockScope, "landlock-scope", SandboxLevel::L3},
    Row{Wall::Seccomp, "seccomp", SandboxLevel::L1},
    Row{Wall::MemoryLimit, "memory-limit", SandboxLevel::L3},
    Row{Wall::CpuLimit, "cpu-limit", SandboxLevel::L3},
    Row{Wall::ProcessLimit, "process-limit", SandboxLevel::L3},
};

constexpr bool rows_in_order() {
  for (std::size_t i = 0; i < kWalls.size(); ++i)
    if (kWalls[i].wall != static_cast<Wall>(i)) return false;
  return kWalls.size() == kWallCount;
}
static_assert(rows_in_order(), "every wall has its row, in the order of the enum");

} // namespace

WallSet walls_of(SandboxLevel level) noexcept {
  WallSet set = 0;
  for (const Row& row : kWalls)
    if (row.needed_for <= level) set |= wall_bit(row.wall);
  return set;
}

std::string_view wall_name(Wall wall) noexcept {
  const auto index = static_cast<std::size_t>(wall);
  return index < kWalls.size() ? kWalls[index].name : "unknown";
}

std::string wall_names(WallSet walls) {
  std::string text;
  for (const Row& row : kWalls) {
    if ((walls & wall_bit(row.wall)) == 0) continue;
    if (!text.empty()) text += ", ";
    text += row.name;
  }
  return text.empty() ? "none" : text;
}

WallSet required_walls() noexcept {
  return walls_of(SandboxLevel::L1);
}

SandboxLevel level_of(WallSet standing) noexcept {
  for (const SandboxLevel level : {SandboxLevel::L3, SandboxLevel::L2, SandboxLevel::L1})
    if ((standing & walls_of(level)) == walls_of(level)) return level;
  return SandboxLevel::None;
}

std::string_view level_name(SandboxLevel level) noexcept {
  switch (level) {
  case SandboxLevel::L1: return "L1";
  case SandboxLevel::L2: return "L2";
  case SandboxLevel::L3: return "L3";
  case SandboxLevel::None: break;
  }
  return "none";
}

std::optional<SandboxLevel> parse_level(std::string_view text) noexcept {
  for (const SandboxLevel level : {SandboxLevel::L1, SandboxLevel::L2, SandboxLevel::L3})
    if (level_name(level) == text) return level;
  return std::nullopt;
}

} // namespace mohhos::model
