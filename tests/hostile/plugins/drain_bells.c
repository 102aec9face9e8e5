// Empties and overfills every doorbell, and rings them without end.
#include "evil.h"

static void attack(void) {
  mohhos_channel_t to_victim = 0;
  (void)evil_host->open_channel(evil_host, 0, "victim", 0, 1000000000u, &to_victim);
  const uint64_t most = UINT64_MAX - 1;
  const uint64_t one = 1;
  for (int round = 0; round < 2000; ++round) {
    for (int fd = 6; fd < 64; ++fd) {
      uint64_t value = 0;
      if (fcntl(fd, F_GETFL) < 0 || (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0) continue;
      (void)!read(fd, &value, sizeof value);
      (void)!write(fd, &most, sizeof most);
      (void)!write(fd, &one, sizeof one);
    }
  }
}

EVIL_PLUGIN;
