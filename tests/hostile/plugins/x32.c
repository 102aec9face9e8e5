// The x32 door: the bit 0x40000000 in the number.
#include "evil.h"

static void attack(void) {
  attempt("x32 getpid", syscall(0x40000000 | SYS_getpid));
  attempt("x32 openat", syscall(0x40000000 | SYS_openat, AT_FDCWD, "/etc/shadow", O_RDONLY, 0));
}

EVIL_PLUGIN;
