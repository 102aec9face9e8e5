// Recurses until the stack is gone.
#include "evil.h"

__attribute__((noinline)) static int deeper(volatile char* above, int more) {
  volatile char here[4096];
  here[0] = above[0];
  return more == 0 ? 0 : deeper(here, more + 1) + here[0];
}

static void attack(void) {
  volatile char bottom[1] = {1};
  say("%d", deeper(bottom, 1));
}

EVIL_PLUGIN;
