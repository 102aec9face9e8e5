#include "sandbox/spawn.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>
#include <vector>

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/child.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"
#include "sys/socket.hpp"

namespace mohhos::sandbox {
namespace {

constexpr std::uint64_t kNamespaceFlags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID |
                                          CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |
                                          CLONE_NEWCGROUP;
constexpr rlim_t kLargestFile = rlim_t{4} << 30;
constexpr rlim_t kRoomForStacks =
    rlim_t{64} << 20; // RLIMIT_DATA counts a thread's whole stack when it is reserved
constexpr rlim_t kRoomForMappings =
    rlim_t{4} << 30; // libraries, rings (mapped twice): address space, not memory

struct Source {
  sys::Fd fd;
  struct stat info{};
};

// Opened once, through no symbolic link, and judged by what was opened.
Result<Source> open_source(const Mount& mount) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  Source source;
  source.fd.reset(
      static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, mount.source, &how, sizeof how)));
  if (!source.fd && errno == ELOOP)
    return fail(Code::NoSandbox,
                "{} is reached through a symbolic link: grant the path that it leads to",
                mount.source);
  if (!source.fd && (errno == ENOENT || errno == ENOTDIR))
    return fail(Code::NotFound,
                "{} is granted but does not exist: create it, or take it out of the grant",
                mount.source);
  if (!source.fd) return fail_errno(fmt::format("opening {} for the sandbox", mount.source));
  if (::fstat(source.fd.get(), &source.info) != 0) return fail_errno(mount.source);
  return source;
}

constexpr std::array kKernelFileSystems = {
    PROC_SUPER_MAGIC, SYSFS_MAGIC,   CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC,
    DEBUGFS_MAGIC,    TRACEFS_MAGIC, SECURITYFS_MAGIC,   DEVPTS_SUPER_MAGIC};

Result<> check_source(const Mount& mount, const Source& source) {
  const mode_t type = source.info.st_mode & S_IFMT;
  if (mount.kind == MountKind::Device) {
    if (type != mount.device_type || major(source.info.st_rdev) != mount.device_major ||
        minor(source.info.st_rdev) != mount.device_minor)
      return fail(Code::NoSandbox, "{} is not the device {}:{} that was granted", mount.source,
                  mount.device_major, mount.device_minor);
    return {};
  }
  if (type != S_IFREG && type != S_IFDIR)
    return fail(Code::NoSandbox, "{} is neither a file nor a directory", mount.source);
  struct statfs system{};
  if (::fstatfs(source.fd.get(), &system) != 0) return fail_errno(mount.source);
  if (std::ranges::find(kKernelFileSystems, system.f_type) != kKernelFileSystems.end())
    return fail(Code::NoSandbox, "{} lies in a file system of the kernel's", mount.source);
  return {};
}

std::uint64_t attributes_of(MountKind kind, bool create_processes) {
  constexpr std::uint64_t kAlways = MOUNT_ATTR_NOSUID;
  switch (kind) {
  case MountKind::SystemReadOnly: return kAlways | MOUNT_ATTR_NODEV | MOUNT_ATTR_RDONLY;
  case MountKind::ReadOnly:
    return kAlways | MOUNT_ATTR_NODEV | MOUNT_ATTR_RDONLY |
           (create_processes ? 0U : MOUNT_ATTR_NOEXEC);
  case MountKind::ReadWrite: return kAlways | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  case MountKind::Device: return kAlways | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY;
  case MountKind::Link: break;
  }
  return kAlways;
}

// A copy of what `fd` names, mounted nowhere, with these flags added (flags that are there cannot
// be taken away, and need not be). Without what is mounted beneath, unless the kernel insists: in
// an ordinary user's namespace the mounts hang together, and a part that hides something must come
// whole.
Result<sys::Fd> clone_tree(int fd, std::uint64_t attributes, const char* name) {
  constexpr unsigned kFlags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH;
  unsigned recursive = 0;
  sys::Fd tree(static_cast<int>(::syscall(SYS_open_tree, fd, "", kFlags)));
  if (!tree && errno == EINVAL) {
    recursive = AT_RECURSIVE;
    tree.reset(static_cast<int>(::syscall(SYS_open_tree, fd, "", kFlags | recursive)));
  }
  if (!tree) return fail_errno(fmt::format("open_tree of {}", name));
  mount_attr change{};
  change.attr_set = attributes;
  if (::syscall(SYS_mount_setattr, tree.get(), "", AT_EMPTY_PATH | recursive, &change,
                sizeof change) != 0)
    return fail_errno(fmt::format("mount_setattr of {}", name));
  return tree;
}

struct Prepared {
  std::vector<sys::Fd> trees;
  std::vector<PlannedMount> mounts;
};

Result<> prepare_mount(const Mount& mount, bool create_processes, Prepared& prepared) {
  PlannedMount planned{.target = mount.target};
  if (mount.kind == MountKind::Link) {
    planned.link_text = mount.source;
  } else {
    TRY(const Source source, open_source(mount));
    TRY(check_source(mount, source));
    TRY(sys::Fd tree,
        clone_tree(source.fd.get(), attributes_of(mount.kind, create_processes), mount.source));
    planned.tree = tree.get();
    planned.directory = S_ISDIR(source.info.st_mode);
    planned.device = mount.kind == MountKind::Device;
    prepared.trees.push_back(std::move(tree));
  }
  prepared.mounts.push_back(planned);
  return {};
}

// All trees, what lies in another after it.
Result<Prepared> prepare_mounts(const SpawnRequest& request) {
  Prepared prepared;
  prepared.mounts.reserve(request.spec.mount_count + 1);
  for (std::size_t i = 0; i < request.spec.mount_count; ++i)
    TRY(prepare_mount(request.spec.mounts[i], request.spec.create_processes != 0, prepared));
  if (request.image >= 0) {
    constexpr std::uint64_t kFlags = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_RDONLY;
    TRY(sys::Fd tree, clone_tree(request.image, kFlags, "the plugin's image"));
    prepared.mounts.push_back({.tree = tree.get(), .target = kPluginPath});
    prepared.trees.push_back(std::move(tree));
  }
  std::ranges::stable_sort(prepared.mounts, {},
                           [](const PlannedMount& m) { return std::strlen(m.target); });
  return prepared;
}

std::vector<PlannedLimit> plan_limits(const SpawnRequest& request) {
  const Spec& spec = request.spec;
  std::vector<PlannedLimit> limits = {
      {RLIMIT_CORE, 0},
      {RLIMIT_NOFILE, spec.descriptors},
      {RLIMIT_NPROC, spec.processes},
      {RLIMIT_FSIZE, kLargestFile},
      {RLIMIT_MEMLOCK, rlim_t{64} << 10},
      {RLIMIT_STACK, rlim_t{8} << 20},
      {RLIMIT_SIGPENDING, 256},
      {RLIMIT_MSGQUEUE, 0},
      {RLIMIT_NICE, 0},
      {RLIMIT_RTPRIO, 0},
  };
  const bool grouped = request.group != nullptr &&
                       (request.group->walls() & model::wall_bit(model::Wall::MemoryLimit)) != 0;
  if (!grouped) {
    limits.push_back({RLIMIT_DATA, spec.memory_bytes + kRoomForStacks});
    limits.push_back({RLIMIT_AS, spec.memory_bytes + kRoomForStacks + kRoomForMappings});
  }
  return limits;
}

struct GatePair {
  sys::Fd ours;   // non-blocking
  sys::Fd theirs; // blocking: the child and its host just wait
};
Result<GatePair> make_gate() {
  TRY(sys::SocketPair pair, sys::make_seqpacket_pair());
  if (::fcntl(pair.second.get(), F_SETFL, 0) != 0) return fail_errno("the gate");
  return GatePair{std::move(pair.first), std::move(pair.second)};
}

// fork into new namespaces, with a pidfd, straight into the group. In the child: pid 0.
Result<Spawned> clone_child(const Group* group) {
  int pidfd = -1;
  clone_args arguments{};
  arguments.flags = kNamespaceFlags | CLONE_PIDFD | CLONE_CLEAR_SIGHAND;
  arguments.pidfd = reinterpret_cast<std::uintptr_t>(&pidfd);
  arguments.exit_signal = SIGCHLD;
  if (group != nullptr && group->clone_fd() >= 0) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = static_cast<std::uint64_t>(group->clone_fd());
  }
  const long pid = ::syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid < 0) return fail_errno("clone3 into new namespaces");
  return Spawned{
      .pid = static_cast<pid_t>(pid), .pidfd = sys::Fd(pid == 0 ? -1 : pidfd), .gate = {}};
}

// What only the parent may do for the child: ids, and to be the first when memory runs out.
Result<> settle(pid_t pid, const SpawnRequest& request) {
  const sys::Fd proc(
      ::open(fmt::format("/proc/{}", pid).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!proc) return fail_errno(fmt::format("opening /proc/{}", pid));
  TRY(sys::write_control(proc.get(), "uid_map",
                         fmt::format("{} {} 1\n", kInsideId, request.ids.uid)));
  TRY(sys::write_control(proc.get(), "gid_map",
                         fmt::format("{} {} 1\n", kInsideId, request.ids.gid)));
  (void)sys::write_control(proc.get(), "oom_score_adj", "200"); // best effort: a hint, not a wall
  return {};
}

void end_child(const Spawned& child) {
  (void)sys::send_signal(child.pidfd.get(), SIGKILL);
  siginfo_t info{};
  while (::waitid(P_PIDFD, static_cast<id_t>(child.pidfd.get()), &info, WEXITED) != 0 &&
         errno == EINTR) {
  }
}

} // namespace

Result<Spawned> spawn(const SpawnRequest& request) {
  TRY(const Prepared prepared, prepare_mounts(request));
  const std::vector<PlannedLimit> limits = plan_limits(request);
  const std::string tmp_size = fmt::format("{}", request.spec.tmp_bytes);
  const std::string tmp_inodes = fmt::format("{}", request.spec.tmp_inodes);
  TRY(GatePair gate, make_gate());
  const sys::Fd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!nothing) return fail_errno("/dev/null");

  std::vector<sys::Fd> doors;
  if (request.group != nullptr) {
    TRY(doors, request.group->open_doors());
  }
  std::vector<int> door_numbers;
  for (const sys::Fd& door : doors) door_numbers.push_back(door.get());
  std::vector<char*> environment;
  for (const char* variable : kEnvironment) environment.push_back(const_cast<char*>(variable));
  environment.push_back(nullptr);
  std::vector<char*> arguments;
  for (const char* argument : request.arguments) arguments.push_back(const_cast<char*>(argument));
  if (arguments.empty()) arguments = {const_cast<char*>("mohhos-plugin-host"), nullptr};

  const ChildPlan plan{
      .doors = door_numbers,
      .mounts = prepared.mounts,
      .limits = limits,
      .tmp_size = tmp_size.c_str(),
      .tmp_inodes = tmp_inodes.c_str(),
      .id = kInsideId,
      .drop_groups = request.ids.drop_groups,
      .gate = gate.theirs.get(),
      .host = request.host,
      .descriptors = {nothing.get(), request.output, request.errors, request.link, request.boot,
                      gate.theirs.get()},
      .arguments = arguments.data(),
      .environment = environment.data(),
  };
  TRY(Spawned child, clone_child(request.group));
  if (child.pid == 0) run_child(plan); // does not return
  gate.theirs.reset();
  auto settled = settle(child.pid, request);
  if (settled) settled = send_signal_to_child(gate.ours.get(), GateType::Proceed);
  if (!settled) {
    end_child(child);
    return std::unexpected(std::move(settled).error());
  }
  child.gate = std::move(gate.ours);
  return child;
}

} // namespace mohhos::sandbox
