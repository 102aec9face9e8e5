// Is begun again when it dies, and dies soon after it was begun.
#include "evil.h"

static void attack(void) {
  evil_host->wake(evil_host);
}

static int32_t work(void* self) {
  (void)self;
  *(volatile int*)8 = 1;
  return 0;
}

EVIL_PLUGIN_WITH_WORK;
