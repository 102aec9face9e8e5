// Takes every descriptor there is.
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "evil.h"

static void attack(void) {
  for (int i = 0; i < 100000; ++i) {
    const int fd = i % 2 == 0 ? dup(0) : epoll_create1(0);
    if (fd < 0 && errno == EMFILE) {
      attempt("descriptors", -1);
      return;
    }
  }
  say("SUCCEEDED 100000 descriptors");
}

EVIL_PLUGIN;
