// Asks the manager for more than it should answer: channels to nobody, without end.
#include <sys/socket.h>

#include "evil.h"

static void attack(void) {
  struct {
    uint32_t version;
    uint16_t type, reserved;
    uint32_t size, sequence;
    uint64_t target, ring;
    uint32_t lane, reserved2;
    char name[64];
  } record = {2, 65, 0, sizeof record, 0, 0, 0, 1, 0, "nobody-at-all"};
  for (uint32_t i = 0; i < 50000; ++i) {
    record.sequence = 1000000 + i;
    (void)send(3, &record, sizeof record, MSG_DONTWAIT | MSG_NOSIGNAL);
  }
}

EVIL_PLUGIN;
