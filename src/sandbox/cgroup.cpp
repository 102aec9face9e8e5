#include "sandbox/cgroup.hpp"

#include <algorithm>
#include <utility>

#include <fcntl.h>

#include "sys/file.hpp"

namespace mohhos::sandbox {
namespace {

using std::chrono::milliseconds;

constexpr unsigned kCpuPeriodUs = 100'000;

enum class Content : unsigned char {
  MemoryBytes,
  Zero,
  One,
  CpuPeriod,
  CpuQuota,
  CpuQuotaAndPeriod,
  Processes
};

// One row per thing to set, one column per version of the kernel's interface; "" where it has no
// such file. A row that is needed makes the wall; the others only sharpen it (swap, which many
// kernels do not account).
struct Knob {
  Controller controller;
  bool needed;
  const char* v1;
  Content v1_content;
  const char* v2;
  Content v2_content;
};
constexpr std::array kKnobs = {
    Knob{Controller::Memory, true, "memory.limit_in_bytes", Content::MemoryBytes, "memory.max",
         Content::MemoryBytes},
    Knob{Controller::Memory, false, "memory.memsw.limit_in_bytes", Content::MemoryBytes,
         "memory.swap.max", Content::Zero},
    Knob{Controller::Memory, false, "", Content::One, "memory.oom.group", Content::One},
    Knob{Controller::Cpu, true, "cpu.cfs_period_us", Content::CpuPeriod, "", Content::Zero},
    Knob{Controller::Cpu, true, "cpu.cfs_quota_us", Content::CpuQuota, "cpu.max",
         Content::CpuQuotaAndPeriod},
    Knob{Controller::Pids, true, "pids.max", Content::Processes, "pids.max", Content::Processes},
};

struct ControllerRow {
  Controller controller;
  std::string_view name; // in /proc/self/cgroup and cgroup.controllers
  model::Wall wall;
  std::string_view v1_knob;
  std::string_view v2_knob;
};
constexpr std::array kRows = {
    ControllerRow{Controller::Memory, "memory", model::Wall::MemoryLimit,
                  "cgroup v1 memory.limit_in_bytes", "cgroup v2 memory.max"},
    ControllerRow{Controller::Cpu, "cpu", model::Wall::CpuLimit, "cgroup v1 cpu.cfs_quota_us",
                  "cgroup v2 cpu.max"},
    ControllerRow{Controller::Pids, "pids", model::Wall::ProcessLimit, "cgroup v1 pids.max",
                  "cgroup v2 pids.max"},
};
constexpr bool rows_in_order() {
  for (std::size_t i = 0; i < kRows.size(); ++i)
    if (kRows[i].controller != static_cast<Controller>(i)) return false;
  return kRows.size() == kControllers.size();
}
static_assert(rows_in_order(), "every controller has its row, in the order of the enum");

constexpr std::size_t index_of(Controller controller) {
  return static_cast<std::size_t>(controller);
}

std::string content_of(Content content, const GroupLimits& limits) {
  const std::uint64_t quota = std::uint64_t{limits.cpu_percent} * (kCpuPeriodUs / 100);
  switch (content) {
  case Content::MemoryBytes: return fmt::format("{}", limits.memory_bytes);
  case Content::Zero: return "0";
  case Content::One: return "1";
  case Content::CpuPeriod: return fmt::format("{}", kCpuPeriodUs);
  case Content::CpuQuota: return fmt::format("{}", quota);
  case Content::CpuQuotaAndPeriod: return fmt::format("{} {}", quota, kCpuPeriodUs);
  case Content::Processes: return fmt::format("{}", limits.processes);
  }
  return {};
}

bool is_limited(Controller controller, const GroupLimits& limits) {
  switch (controller) {
  case Controller::Memory: return limits.memory_bytes != 0;
  case Controller::Cpu: return limits.cpu_percent != 0;
  case Controller::Pids: return limits.processes != 0;
  }
  return false;
}

Result<> set_limits(int directory, Controller controller, bool v1, const GroupLimits& limits) {
  for (const Knob& knob : kKnobs) {
    const char* file = v1 ? knob.v1 : knob.v2;
    if (knob.controller != controller || *file == 0) continue;
    const auto set = sys::write_control(directory, file,
                                        content_of(v1 ? knob.v1_content : knob.v2_content, limits));
    if (!set && knob.needed) return std::unexpected(Error(set.error()));
  }
  return {};
}

} // namespace

std::string_view knob_name(Controller controller, bool v1) noexcept {
  const ControllerRow& row = kRows[index_of(controller)];
  return v1 ? row.v1_knob : row.v2_knob;
}

// --- Group ---

Result<std::vector<sys::Fd>> Group::open_doors() const {
  std::vector<sys::Fd> doors;
  for (const Directory& directory : v1_) {
    if (!directory.fd) continue;
    sys::Fd door(::openat(directory.fd.get(), "tasks", O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!door) return fail_errno(fmt::format("opening {}/tasks", directory.path));
    doors.push_back(std::move(door));
  }
  return doors;
}

Result<> Group::kill() const {
  return sys::write_control(unified_.fd.get(), "cgroup.kill", "1");
}

Result<> Group::freeze(milliseconds patience) const {
  TRY(sys::write_control(unified_.fd.get(), "cgroup.freeze", "1"));
  TRY(const bool frozen, await_event(unified_.fd.get(), "frozen 1", patience));
  if (!frozen)
    return fail(Code::TimedOut, "{} does not stand still after {} ms", unified_.path,
                patience.count());
  return {};
}

Result<> Group::thaw() const {
  return sys::write_control(unified_.fd.get(), "cgroup.freeze", "0");
}

Result<bool> Group::populated() const {
  TRY(const bool empty, await_event(unified_.fd.get(), "populated 0", milliseconds(0)));
  return !empty;
}

Result<std::uint64_t> Group::out_of_memory_kills() const {
  constexpr std::size_t kMemory = index_of(Controller::Memory);
  if (directories_[kMemory].empty()) return 0;
  const bool v1 = in_v1_[kMemory];
  TRY(const std::string text, sys::read_control(v1 ? v1_[kMemory].fd.get() : unified_.fd.get(),
                                                v1 ? "memory.oom_control" : "memory.events"));
  return number_after(text, "oom_kill");
}

Result<> Group::remove(milliseconds patience) {
  if (unified_.fd) {
    TRY(const bool empty, await_event(unified_.fd.get(), "populated 0", patience));
    if (!empty) return fail(Code::TimedOut, "{} still has processes", unified_.path);
  }
  Result<> result;
  const auto take_away = [&](Directory& directory) {
    if (directory.path.empty()) return;
    directory.fd.reset();
    auto removed = remove_directory(directory.path, patience);
    if (removed)
      directory.path.clear();
    else
      result = std::move(removed);
  };
  for (Directory& directory : v1_) take_away(directory);
  take_away(unified_);
  return result;
}

// --- Cgroups ---

Cgroups Cgroups::open(std::uint32_t instance) {
  Cgroups cgroups;
  cgroups.name_ = fmt::format("mohhos-{:08x}", instance);
  const auto mounts = sys::read_file("/proc/self/mountinfo", mib(1));
  const auto own = sys::read_file("/proc/self/cgroup", kib(64));
  if (!mounts || !own) {
    cgroups.reason_ = "/proc/self/mountinfo and /proc/self/cgroup cannot be read";
    return cgroups;
  }
  if (const auto found = find_hierarchy(*mounts, *own, "")) cgroups.open_unified(*found);
  for (const ControllerRow& row : kRows)
    if (const auto found = find_hierarchy(*mounts, *own, row.name))
      cgroups.open_v1(row.controller, *found);
  // Without the v2 tree there is no sound kill: use nothing.
  if (cgroups.unified_.directory.empty()) {
    if (cgroups.reason_.empty()) cgroups.reason_ = "no cgroup v2 tree is mounted";
    cgroups.remove();
    cgroups.walls_ = 0;
    return cgroups;
  }
  const bool any_v1 =
      std::ranges::any_of(cgroups.v1_, [](const Hierarchy& h) { return !h.directory.empty(); });
  cgroups.layout_ = any_v1 ? CgroupLayout::Hybrid : CgroupLayout::Unified;
  return cgroups;
}

void Cgroups::open_v1(Controller controller, const OwnPlace& place) {
  Hierarchy& hierarchy = v1_[index_of(controller)];
  hierarchy.mount = place.mount;
  const std::string path = place.home + "/" + name_;
  if (auto made = make_directory(path); !made && made.error().code != Code::Exists) {
    reason_ = made.error().text;
    return;
  }
  auto fd = open_directory(path);
  if (!fd) return;
  hierarchy.directory = path;
  hierarchy.fd = *std::move(fd);
  walls_ |= model::wall_bit(kRows[index_of(controller)].wall);
}

void Cgroups::open_unified(const OwnPlace& place) {
  unified_.mount = place.mount;
  const std::string& home = place.home;
  const auto controllers = [&]() -> std::string {
    const auto fd = open_directory(home);
    const auto text =
        fd ? sys::read_control(fd->get(), "cgroup.controllers") : Result<std::string>("");
    return text ? text->substr(0, text->find('\n')) : "";
  }();
  const std::string path = home + "/" + name_;
  if (auto made = make_directory(path); !made && made.error().code != Code::Exists) {
    reason_ = made.error().text;
    return;
  }
  auto fd = open_directory(path);
  if (!fd) return;
  unified_.directory = path;
  unified_.fd = *std::move(fd);
  for (const ControllerRow& row : kRows) {
    if (!has_word(controllers, row.name, ' ')) continue;
    if (!enable(home, row.name) && own_leaf_.empty() && is_alone_in(home)) {
      const std::string leaf = home + "/" + name_ + ".self"; // only we stand in the way: step aside
      if (make_directory(leaf) && move_self(leaf)) own_leaf_ = leaf, own_home_ = home;
    }
    if (!enable(home, row.name) || !enable(path, row.name)) {
      reason_ = fmt::format("the {} controller cannot be enabled beneath {}", row.name, home);
      continue;
    }
    in_unified_[index_of(row.controller)] = true;
    walls_ |= model::wall_bit(row.wall);
  }
}

Result<> Cgroups::fill(Group& group, const std::string& leaf, const GroupLimits& limits) const {
  const auto make_in = [&](const Hierarchy& hierarchy, Group::Directory& directory) -> Result<> {
    const std::string path = hierarchy.directory + "/" + leaf;
    TRY(make_directory(path));
    directory.path = path;
    TRY(directory.fd, open_directory(path));
    return {};
  };
  TRY(make_in(unified_, group.unified_));
  for (const ControllerRow& row : kRows) {
    const std::size_t i = index_of(row.controller);
    if (row.controller == Controller::Cpu)
      group.directories_[i] = group.unified_.path; // cpu.stat is always v2's
    if (!v1_[i].directory.empty()) {
      TRY(make_in(v1_[i], group.v1_[i]));
      group.in_v1_[i] = true;
      if (row.controller != Controller::Cpu) group.directories_[i] = group.v1_[i].path;
    } else if (in_unified_[i]) {
      group.directories_[i] = group.unified_.path;
    } else {
      continue;
    }
    if (!is_limited(row.controller, limits)) continue;
    TRY(set_limits(group.in_v1_[i] ? group.v1_[i].fd.get() : group.unified_.fd.get(),
                   row.controller, group.in_v1_[i], limits));
    group.walls_ |= model::wall_bit(row.wall);
  }
  return {};
}

Result<Group> Cgroups::make(std::string_view plugin, PluginId id, Generation generation,
                            const GroupLimits& limits) const {
  if (layout_ == CgroupLayout::None)
    return fail(Code::Unsupported, "no control groups: {}", reason_);
  Group group;
  auto filled = fill(group, fmt::format("{}.{}.{}", plugin, id.value, generation.value), limits);
  if (!filled) {
    if (filled.error().code != Code::Exists) (void)group.remove(milliseconds(100));
    return std::unexpected(std::move(filled).error());
  }
  return group;
}

Result<unsigned> Cgroups::sweep() {
  std::vector<std::string> mounts;
  if (!unified_.mount.empty()) mounts.push_back(unified_.mount); // first: it can kill
  for (const Hierarchy& hierarchy : v1_)
    if (!hierarchy.mount.empty()) mounts.push_back(hierarchy.mount);
  unsigned count = 0;
  for (const std::string& mount : mounts) {
    for (const std::string& instance : find_directories(mount, name_)) {
      for (const std::string& leaf : subdirectories(instance)) {
        kill_all_in(leaf);
        TRY(remove_directory(leaf, milliseconds(2000)));
        ++count;
      }
      const bool ours =
          instance == unified_.directory ||
          std::ranges::any_of(v1_, [&](const Hierarchy& h) { return h.directory == instance; });
      if (!ours) TRY(remove_directory(instance, milliseconds(2000)));
    }
  }
  return count;
}

void Cgroups::remove() {
  for (Hierarchy& hierarchy : v1_) {
    if (hierarchy.directory.empty()) continue;
    hierarchy.fd.reset();
    (void)remove_directory(hierarchy.directory, milliseconds(500));
    hierarchy.directory.clear();
  }
  if (!unified_.directory.empty()) {
    unified_.fd.reset();
    (void)remove_directory(unified_.directory, milliseconds(500));
    unified_.directory.clear();
  }
  if (own_leaf_.empty()) return;
  // Controllers that only we asked for go off again, or the group would not take its process back.
  const auto home = open_directory(own_home_);
  for (const ControllerRow& row : kRows)
    if (home)
      (void)sys::write_control(home->get(), "cgroup.subtree_control", fmt::format("-{}", row.name));
  if (move_self(own_home_)) (void)remove_directory(own_leaf_, milliseconds(500));
  own_leaf_.clear();
}

} // namespace mohhos::sandbox
