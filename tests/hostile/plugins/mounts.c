// Mounts, roots and cgroups.
#include <sys/mount.h>
#include <sys/stat.h>

#include "evil.h"

static void attack(void) {
  attempt("mount proc", mount("proc", "/tmp", "proc", 0, NULL));
  attempt("mount cgroup", mount("cgroup", "/tmp", "cgroup", 0, "memory"));
  attempt("mount cgroup2", mount("none", "/tmp", "cgroup2", 0, NULL));
  attempt("remount /", mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL));
  attempt("umount", umount2("/plugin", MNT_DETACH));
  attempt("chroot", chroot("/tmp"));
  attempt("open_tree", syscall(SYS_open_tree, AT_FDCWD, "/", 1));
  attempt("move_mount", syscall(SYS_move_mount, 3, "", AT_FDCWD, "/tmp", 4));
  attempt("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
  attempt("mount_setattr", syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, "", 0));
  attempt("mknod", mknod("/tmp/mem", 0020666, 0x0101));
}

EVIL_PLUGIN;
