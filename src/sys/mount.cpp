#include "sys/mount.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace mohhos::sys {

Result<> leave_mount_namespace() {
  if (::unshare(CLONE_NEWNS) != 0)
    return fail_errno("a mount namespace of its own (CAP_SYS_ADMIN is needed)");
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0)
    return fail_errno("making / a slave mount");
  return {};
}

Result<> mount_tmpfs(const std::filesystem::path& path, const std::string& options, int directory) {
  const std::string target =
      directory >= 0 ? fmt::format("/proc/self/fd/{}", directory) : path.native();
  if (::mount("mohhos", target.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) != 0)
    return fail_errno(fmt::format("mounting a private tmpfs on {}", path.native()));
  return {};
}

Result<Fd> clone_tree(int directory) {
  constexpr unsigned kFlags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE;
  Fd tree(static_cast<int>(::syscall(SYS_open_tree, directory, "", kFlags)));
  if (!tree) return fail_errno("open_tree");
  return tree;
}

Result<> place_tree(int tree, const std::filesystem::path& path) {
  if (::syscall(SYS_move_mount, tree, "", AT_FDCWD, path.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0)
    return fail_errno(fmt::format("move_mount to {}", path.native()));
  return {};
}

} // namespace mohhos::sys
