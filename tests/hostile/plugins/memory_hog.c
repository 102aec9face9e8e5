// Eats memory until something gives.
#include "evil.h"

static void attack(void) {
  for (int i = 0; i < 4096; ++i) {
    char* block = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED) {
      attempt("memory", -1);
      return;
    }
    memset(block, i + 1, 1 << 20);
  }
  say("SUCCEEDED eating 4 GB");
}

EVIL_PLUGIN;
