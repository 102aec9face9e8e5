// Writes nonsense to the manager.
#include <sys/socket.h>

#include "evil.h"

static void attack(void) {
  unsigned char junk[2048];
  for (size_t i = 0; i < sizeof junk; ++i) junk[i] = (unsigned char)(i * 37);
  static const size_t kSizes[] = {1, 7, 15, 16, 17, 1024, 2048};
  for (size_t i = 0; i < sizeof kSizes / sizeof *kSizes; ++i) {
    (void)send(3, junk, kSizes[i], MSG_DONTWAIT | MSG_NOSIGNAL);
  }
}

EVIL_PLUGIN;
