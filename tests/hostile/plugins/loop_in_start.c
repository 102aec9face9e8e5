// Never comes back from on_start.
#include "evil.h"

static void attack(void) {
  for (volatile int i = 0;; ++i) {
  }
}

EVIL_PLUGIN;
