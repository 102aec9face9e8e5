// Work queues that a filter does not see.
#include "evil.h"

static void attack(void) {
  char parameters[512] = {0};
  attempt("io_uring_setup", syscall(SYS_io_uring_setup, 4, parameters));
  attempt("io_uring_enter", syscall(SYS_io_uring_enter, 3, 1, 0, 0, NULL, 0));
  attempt("io_uring_register", syscall(SYS_io_uring_register, 3, 0, NULL, 0));
  attempt("io_setup", syscall(SYS_io_setup, 4, parameters));
}

EVIL_PLUGIN;
