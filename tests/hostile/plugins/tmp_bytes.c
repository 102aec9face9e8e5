// Fills its /tmp with bytes.
#include "evil.h"

static void attack(void) {
  static char block[1 << 16];
  memset(block, 'x', sizeof block);
  const int fd = open("/tmp/big", O_WRONLY | O_CREAT, 0600);
  if (fd < 0) {
    attempt("a file in /tmp", -1);
    return;
  }
  for (int i = 0; i < 1 << 14; ++i) {
    if (write(fd, block, sizeof block) < 0) {
      attempt("bytes", -1);
      return;
    }
  }
  say("SUCCEEDED writing 1 GB");
}

EVIL_PLUGIN;
