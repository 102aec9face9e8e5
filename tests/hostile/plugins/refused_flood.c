// As many refused calls as it can make.
#include <sys/socket.h>

#include "evil.h"

static void attack(void) {
  char path[64];
  for (int i = 0; i < 20000; ++i) {
    snprintf(path, sizeof path, "/etc/secret-%d", i);
    if (open(path, O_RDONLY) >= 0) say("SUCCEEDED %s", path);
    if (socket(AF_INET, SOCK_STREAM, 0) >= 0) say("SUCCEEDED socket");
  }
  say("REFUSED all: 0");
}

EVIL_PLUGIN;
