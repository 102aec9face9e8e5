// Closes everything it was given.
#include "evil.h"

static void attack(void) {
  say("REFUSED nothing: 0");
  for (int fd = 0; fd < 1024; ++fd) close(fd);
}

EVIL_PLUGIN;
