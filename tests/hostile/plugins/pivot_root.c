// Turns the root around: nothing honest does, so the first try is the last.
#include "evil.h"

static void attack(void) {
  attempt("pivot_root", syscall(SYS_pivot_root, "/tmp", "/tmp"));
}

EVIL_PLUGIN;
