// Fills its /tmp with empty files.
#include "evil.h"

static void attack(void) {
  for (int i = 0; i < 200000; ++i) {
    char name[64];
    snprintf(name, sizeof name, "/tmp/%d", i);
    const int fd = open(name, O_WRONLY | O_CREAT, 0600);
    if (fd < 0) {
      attempt("inodes", -1);
      return;
    }
    close(fd);
  }
  say("SUCCEEDED 200000 files");
}

EVIL_PLUGIN;
