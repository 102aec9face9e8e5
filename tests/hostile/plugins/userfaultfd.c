// Page faults that it answers itself: stalls whoever touches shared memory.
#include "evil.h"

static void attack(void) {
  attempt("userfaultfd", syscall(SYS_userfaultfd, 0));
  attempt("userfaultfd USER_MODE_ONLY", syscall(SYS_userfaultfd, 1));
  attempt("/dev/userfaultfd", open("/dev/userfaultfd", O_RDWR));
}

EVIL_PLUGIN;
