#include "sys/notification.hpp"

#include <algorithm>
#include <array>
#include <climits>

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace mohhos::sys {
namespace {

// Calls with a path: which argument it is, and which names the directory.
struct PathCall {
  int number;
  int path;
  int directory; // -1: the working directory
};
constexpr std::array kPathCalls = {
    PathCall{SYS_open, 0, -1},     PathCall{SYS_openat, 1, 0},    PathCall{SYS_openat2, 1, 0},
    PathCall{SYS_creat, 0, -1},    PathCall{SYS_execve, 0, -1},   PathCall{SYS_execveat, 1, 0},
    PathCall{SYS_unlink, 0, -1},   PathCall{SYS_unlinkat, 1, 0},  PathCall{SYS_mkdir, 0, -1},
    PathCall{SYS_mkdirat, 1, 0},   PathCall{SYS_rmdir, 0, -1},    PathCall{SYS_rename, 0, -1},
    PathCall{SYS_chdir, 0, -1},    PathCall{SYS_chroot, 0, -1},   PathCall{SYS_mount, 1, -1},
    PathCall{SYS_umount2, 0, -1},  PathCall{SYS_chmod, 0, -1},    PathCall{SYS_fchmodat, 1, 0},
    PathCall{SYS_chown, 0, -1},    PathCall{SYS_fchownat, 1, 0},  PathCall{SYS_truncate, 0, -1},
    PathCall{SYS_link, 0, -1},     PathCall{SYS_symlink, 1, -1},  PathCall{SYS_mknod, 0, -1},
    PathCall{SYS_mknodat, 1, 0},   PathCall{SYS_readlink, 0, -1}, PathCall{SYS_readlinkat, 1, 0},
    PathCall{SYS_open_tree, 1, 0}, PathCall{SYS_acct, 0, -1},     PathCall{SYS_swapon, 0, -1},
    PathCall{SYS_linkat, 1, 0},    PathCall{SYS_renameat, 1, 0},  PathCall{SYS_renameat2, 1, 0},
};

void answer(int listener, seccomp_notif_resp verdict) {
  static_cast<void>(::ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &verdict));
}

} // namespace

std::optional<seccomp_notif> receive_notification(int listener) {
  for (;;) {
    pollfd waiting{listener, POLLIN, 0};
    if (::poll(&waiting, 1, 0) != 1 || (waiting.revents & POLLIN) == 0) return std::nullopt;
    seccomp_notif call{};
    if (::ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) == 0) return call;
    if (errno != ENOENT && errno != EINTR) return std::nullopt; // ENOENT: it died meanwhile
  }
}

bool still_waits(int listener, const seccomp_notif& call) {
  std::uint64_t id = call.id;
  return ::ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

void let_pass(int listener, const seccomp_notif& call) {
  answer(listener,
         {.id = call.id, .val = 0, .error = 0, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE});
}

void refuse(int listener, const seccomp_notif& call, int error_number) {
  answer(listener, {.id = call.id, .val = 0, .error = -error_number, .flags = 0});
}

bool read_memory(pid_t pid, std::uint64_t address, void* into, std::size_t size) {
  const iovec local{into, size};
  const iovec remote{reinterpret_cast<void*>(address), size}; // NOLINT(performance-no-int-to-ptr)
  return ::process_vm_readv(pid, &local, 1, &remote, 1, 0) == static_cast<ssize_t>(size);
}

std::optional<std::string> read_text(pid_t pid, std::uint64_t address) {
  constexpr std::size_t kPage = 4096;
  std::array<char, kPage> page;
  std::string text;
  while (text.size() < PATH_MAX) { // page by page: the next one may not be there
    const std::size_t size = std::min(kPage - address % kPage, PATH_MAX - text.size());
    if (!read_memory(pid, address, page.data(), size)) return std::nullopt;
    const auto last = page.begin() + static_cast<std::ptrdiff_t>(size);
    const auto end = std::find(page.begin(), last, '\0');
    text.append(page.begin(), end);
    if (end != last) return text;
    address += size;
  }
  return std::nullopt;
}

std::string path_of_descriptor(pid_t pid, int descriptor) {
  std::array<char, PATH_MAX> target;
  const std::string link = fmt::format("/proc/{}/fd/{}", pid, descriptor);
  const ssize_t size = ::readlink(link.c_str(), target.data(), target.size());
  return size > 0 ? std::string(target.data(), static_cast<std::size_t>(size)) : std::string();
}

std::string path_argument(const seccomp_notif& call) {
  const auto row = std::ranges::find(kPathCalls, call.data.nr, &PathCall::number);
  if (row == kPathCalls.end()) return {};
  const auto pid = static_cast<pid_t>(call.pid);
  auto path = read_text(pid, call.data.args[row->path]);
  if (!path) return {};
  if (path->starts_with('/') || row->directory < 0) return *std::move(path);
  const int directory = static_cast<int>(call.data.args[row->directory]);
  if (directory == AT_FDCWD) return *std::move(path);
  return path_of_descriptor(pid, directory) + "/" + *path;
}

bool is_open(const seccomp_notif& call) {
  return call.data.nr == SYS_open || call.data.nr == SYS_openat || call.data.nr == SYS_openat2;
}

bool opens_for_writing(const seccomp_notif& call) {
  std::uint64_t flags = call.data.nr == SYS_open ? call.data.args[1] : call.data.args[2];
  if (call.data.nr == SYS_openat2 &&
      !read_memory(static_cast<pid_t>(call.pid), call.data.args[2], &flags, sizeof flags))
    return true;
  return (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) != 0;
}

} // namespace mohhos::sys
