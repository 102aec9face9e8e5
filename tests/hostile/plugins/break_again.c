// Breaks its ring, opens another, breaks it: each costs the victim a descriptor's way, so somebody
// must say no some day: after 64, and 8 more each second.
#include "link.h"

static uint64_t most_since(uint64_t began) {
  return 64 + 8 * ((evil_host->now_ns(evil_host) - began) / 1000000000u + 1);
}

static void attack(void) {
  const uint64_t began = evil_host->now_ns(evil_host);
  unsigned broken = 0;
  struct ring ring;
  for (unsigned round = 0; round < 2000; ++round) {
    if (!open_ring(&ring, kNormal, 4096)) {
      const int in_time = broken >= 64 && broken <= most_since(began);
      say("REFUSED after %u channels, %s", broken, in_time ? "in time" : "not in time");
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
