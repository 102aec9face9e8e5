// Opens what it was not granted, in every spelling.
#include "evil.h"

static void attack(void) {
  static const char* const kPaths[] = {"/etc/shadow",
                                       "/etc/passwd",
                                       "/etc/hostname",
                                       "/root",
                                       "/home",
                                       "/proc/1/mem",
                                       "/proc/self/maps",
                                       "/proc/self/mem",
                                       "/sys/kernel",
                                       "/dev/mem",
                                       "/dev/kmsg",
                                       "/dev/tty",
                                       "../../../etc/shadow",
                                       "/tmp/../etc/shadow",
                                       "/usr/lib/../../etc/shadow",
                                       "/dev/pts/0",
                                       "/run/mohhos/control.sock"};
  for (size_t i = 0; i < sizeof kPaths / sizeof *kPaths; ++i) {
    attempt(kPaths[i], open(kPaths[i], O_RDONLY | O_CLOEXEC));
  }
  attempt("creating /file", open("/file", O_WRONLY | O_CREAT, 0600));
  attempt("creating /plugin/file", open("/plugin/file", O_WRONLY | O_CREAT, 0600));
  attempt("writing /plugin/plugin.so", open("/plugin/plugin.so", O_WRONLY));
  attempt("truncating /plugin/plugin.so", open("/plugin/plugin.so", O_RDONLY | O_TRUNC));
  attempt("openat2 /etc/shadow", syscall(SYS_openat2, AT_FDCWD, "/etc/shadow", "\0\0\0\0", 24));
  attempt("opening by a null pointer", syscall(SYS_openat, AT_FDCWD, NULL, O_RDONLY));
}

EVIL_PLUGIN;
