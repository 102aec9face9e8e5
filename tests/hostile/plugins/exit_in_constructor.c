// Ends the process before init.
#include "evil.h"

__attribute__((constructor)) static void before_init(void) {
  _exit(0);
}

static void attack(void) {}

EVIL_PLUGIN;
