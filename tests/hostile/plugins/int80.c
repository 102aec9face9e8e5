// The 32-bit door: int 0x80 has other numbers than the filter speaks of.
#include "evil.h"

static void attack(void) {
  long result = 20; // getpid there
  __asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
  attempt("int 0x80", result);
}

EVIL_PLUGIN;
