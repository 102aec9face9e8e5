// Breaks its ring, opens another, breaks it: each costs the victim a descriptor's way, so somebody
// must say no some day.
#include "link.h"

static void attack(void) {
  unsigned broken = 0;
  struct ring ring;
  for (unsigned round = 0; round < 2000; ++round) {
    if (!open_ring(&ring, kNormal, 4096)) {
      say("REFUSED after %u channels: 0", broken);
      return;
    }
    *(volatile uint64_t*)ring.data = UINT64_MAX;
    ring_bell(&ring);
    close_ring(&ring, 3);
    ++broken;
  }
  say("SUCCEEDED breaking %u channels", broken);
}

EVIL_PLUGIN;
