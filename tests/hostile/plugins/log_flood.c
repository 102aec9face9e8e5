// Writes more lines than anybody reads, by all three ways.
#include "evil.h"

static void attack(void) {
  static char line[900];
  memset(line, 'A', sizeof line - 1);
  for (int i = 0; i < 100000; ++i) {
    evil_host->log(evil_host, MOHHOS_LOG_INFO, line);
    (void)!write(1, line, sizeof line);
    (void)!write(2, "\n", 1);
  }
}

EVIL_PLUGIN;
