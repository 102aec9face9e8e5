// Half a million messages without content for somebody who never reads them: a line of a ring each,
// and whatever the manager makes of each when the receiver ends.
#include "link.h"

enum { kHigh = 2, kRing = 16 << 20 };

static void attack(void) {
  uint64_t messages = 0;
  for (uint32_t lane = kNormal; lane <= kHigh; ++lane) {
    struct ring ring;
    if (!open_ring_to("hoarder", &ring, lane, kRing)) continue;
    // From behind, so that the first word publishes them all.
    for (uint64_t at = kRing - 64; at != 0; at -= 64, ++messages) {
      const uint64_t word = word_at(at - 64, 48, 7, lane);
      __atomic_store_n((uint64_t*)(void*)(ring.data + at - 64), word, __ATOMIC_RELEASE);
    }
    ring_bell(&ring);
  }
  say("REFUSED nothing: %llu messages", (unsigned long long)messages);
}

EVIL_PLUGIN;
