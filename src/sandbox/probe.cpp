#include "sandbox/probe.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <linux/securebits.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "sandbox/spec.hpp"

extern "C" char** environ;

namespace mohhos::sandbox {
namespace {

using model::Wall;

constexpr uid_t kInside =
    1000; // spawn.hpp's kInsideId; the host does not include the parent's half
constexpr int kHighestDescriptor = 4096;
constexpr std::size_t kPage = 4096;

// A probe says how its wall fell, or nothing.
using Probe = const char* (*)() noexcept;

const char* probe_ids() noexcept {
  std::array<uid_t, 3> uids{};
  std::array<gid_t, 3> gids{};
  if (::getresuid(&uids[0], &uids[1], &uids[2]) != 0 ||
      ::getresgid(&gids[0], &gids[1], &gids[2]) != 0)
    return "the ids cannot be read";
  for (std::size_t i = 0; i < uids.size(); ++i)
    if (uids[i] != kInside || gids[i] != kInside) return "an id that is not the sandbox's";
  return ::getgroups(0, nullptr) == 0 ? nullptr : "supplementary groups are left";
}

const char* probe_root() noexcept {
  struct stat info{};
  if (::stat("/proc", &info) == 0) return "there is a /proc";
  if (::stat("/sys", &info) == 0) return "there is a /sys";
  struct statfs root{};
  if (::statfs("/", &root) != 0 || root.f_type != TMPFS_MAGIC)
    return "the root is not the sandbox's own";
  if ((root.f_flags & ST_RDONLY) == 0) return "the root can be written";
  std::array<char, 8> directory{};
  if (::syscall(SYS_getcwd, directory.data(), directory.size()) < 0 ||
      std::strcmp(directory.data(), "/") != 0)
    return "the working directory lies outside";
  if (::mount("none", "/tmp", "tmpfs", 0, nullptr) == 0) return "a mount succeeded";
  return nullptr;
}

const char* probe_capabilities() noexcept {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};
  if (::syscall(SYS_capget, &header, sets.data()) != 0) return "capget failed";
  for (const auto& set : sets)
    if ((set.effective | set.permitted | set.inheritable) != 0) return "a capability is left";
  for (unsigned long capability = 0;; ++capability) {
    const int bounding = ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
    if (bounding < 0) break;
    if (bounding != 0) return "the bounding set is not empty";
    if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, capability, 0, 0) == 1)
      return "an ambient capability is left";
  }
  constexpr int kWanted = (SECURE_ALL_BITS | SECURE_ALL_LOCKS) & ~SECBIT_KEEP_CAPS;
  return ::prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) == kWanted ? nullptr
                                                           : "the securebits are not locked";
}

const char* probe_new_privileges() noexcept {
  return ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? nullptr : "no_new_privs is off";
}

const char* probe_limits() noexcept {
  const auto bounded = [](__rlimit_resource_t resource, rlim_t most) {
    rlimit limit{};
    return ::getrlimit(resource, &limit) == 0 && limit.rlim_max <= most &&
           limit.rlim_cur <= limit.rlim_max;
  };
  if (!bounded(RLIMIT_CORE, 0)) return "core dumps are allowed";
  if (!bounded(RLIMIT_NOFILE, 65'536)) return "descriptors are not limited";
  if (!bounded(RLIMIT_NPROC, 65'536)) return "processes are not limited";
  if (!bounded(RLIMIT_MSGQUEUE, 0)) return "message queues are allowed";
  return ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 ? nullptr : "the process is dumpable";
}

const char* probe_terminal() noexcept {
  if (::getsid(0) != ::getpid()) return "the session is somebody else's";
  const int terminal = ::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
  if (terminal < 0) return nullptr;
  ::close(terminal);
  return "/dev/tty can be opened";
}

// One poll asks for many descriptors: POLLNVAL says closed.
const char* probe_descriptors() noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return "the limit cannot be read";
  constexpr std::size_t kBatch = 256;
  const std::size_t batch = std::min<std::size_t>(kBatch, limit.rlim_cur); // poll takes no more
  std::array<pollfd, kBatch> asked{};
  for (int first = 0; first < kHighestDescriptor; first += static_cast<int>(batch)) {
    for (std::size_t i = 0; i < batch; ++i) asked[i] = {first + static_cast<int>(i), 0, 0};
    if (::poll(asked.data(), batch, 0) < 0) return "poll failed";
    for (std::size_t i = 0; i < batch; ++i) {
      const int fd = asked[i].fd;
      const bool open = (asked[i].revents & POLLNVAL) == 0;
      const bool meant = fd <= kFdLink || fd == kFdGate;
      if (open && !meant) return "a descriptor too many";
      if (!open && meant) return "a descriptor is missing";
    }
  }
  return nullptr;
}

const char* probe_environment() noexcept {
  std::size_t count = 0;
  for (; environ != nullptr && environ[count] != nullptr; ++count)
    if (count >= std::size(kEnvironment) || std::strcmp(environ[count], kEnvironment[count]) != 0)
      return "a variable that is not the sandbox's";
  return count == std::size(kEnvironment) ? nullptr : "a variable is missing";
}

const char* probe_landlock() noexcept {
  const int file = ::open(kProbePath, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (file >= 0) {
    ::close(file);
    return "a path that no rule names can be opened";
  }
  return errno == EACCES ? nullptr : "the probe file is missing";
}

const char* probe_filter() noexcept {
  if (::prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 2) return "no filter is on";
  if (::syscall(SYS_clone3, nullptr, 0) >= 0 || errno != ENOSYS) return "clone3 is there";
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); // by way of the listener
  if (socket < 0) return nullptr;
  ::close(socket);
  return "a socket could be made";
}

const char* probe_executable_memory() noexcept {
  constexpr int kPrivate = MAP_PRIVATE | MAP_ANONYMOUS;
  void* memory = ::mmap(nullptr, kPage, PROT_READ | PROT_WRITE | PROT_EXEC, kPrivate, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  ::munmap(memory, kPage);
  return "memory that is writable and executable";
}

struct Row {
  Wall wall;
  Probe probe;
};
constexpr std::array kBeforeFilter = {
    Row{Wall::OwnUid, probe_ids},
    Row{Wall::PrivateRoot, probe_root},
    Row{Wall::NoCapabilities, probe_capabilities},
    Row{Wall::NoNewPrivileges, probe_new_privileges},
    Row{Wall::Rlimits, probe_limits},
    Row{Wall::NoTerminal, probe_terminal},
    Row{Wall::CleanDescriptors, probe_descriptors},
    Row{Wall::CleanEnvironment, probe_environment},
};
constexpr std::array kAfterFilter = {
    Row{Wall::Seccomp, probe_filter},
    Row{Wall::NoExecWrite, probe_executable_memory},
};

void judge(ProbeResult& result, const Row& row) noexcept {
  const char* how = row.probe();
  if (how == nullptr)
    result.stands(row.wall);
  else
    result.falls(row.wall, how);
}

} // namespace

void ProbeResult::falls(model::Wall wall, const char* how) noexcept {
  if (text[0] != 0) return;
  const std::string_view name = model::wall_name(wall);
  std::size_t used = 0;
  for (const std::string_view part : {name, std::string_view(": "), std::string_view(how)}) {
    const std::size_t length = std::min(part.size(), sizeof text - 1 - used);
    std::memcpy(text + used, part.data(), length);
    used += length;
  }
}

void probe_before_filter(ProbeResult& result, std::uint32_t landlock_abi) noexcept {
  for (const Row& row : kBeforeFilter) judge(result, row);
  if (landlock_abi == 0) {
    result.falls(Wall::Landlock, "this kernel has none");
    return;
  }
  judge(result, {Wall::Landlock, probe_landlock});
  if (landlock_abi >= 6) result.stands(Wall::LandlockScope);
}

void probe_after_filter(ProbeResult& result) noexcept {
  for (const Row& row : kAfterFilter) judge(result, row);
}

} // namespace mohhos::sandbox
