// Says, without end, that it waits for everybody in turn: nobody's call may end by that.
#include "link.h"

static void attack(void) {
  struct {
    struct link_header header;
    uint64_t peer;
  } record = {{2, 72, 0, sizeof record, 0}, 0};
  struct ring ring;
  (void)open_ring(&ring, kNormal, 0); // so that a claim to wait for the victim could be true
  for (unsigned i = 0; i < 100000; ++i) {
    record.peer = i % 64;
    record.header.sequence = i;
    (void)send(3, &record, sizeof record, MSG_DONTWAIT | MSG_NOSIGNAL);
  }
  say("REFUSED nothing: 0");
}

EVIL_PLUGIN;
