// Loads a kernel module.
#include "evil.h"

static void attack(void) {
  attempt("init_module", syscall(SYS_init_module, "", 0, ""));
  attempt("finit_module", syscall(SYS_finit_module, 0, "", 0));
}

EVIL_PLUGIN;
