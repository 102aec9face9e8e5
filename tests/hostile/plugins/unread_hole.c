// Takes the memory of its own messages away before they are read, again and again, and rings.
#include "link.h"

#ifndef MADV_REMOVE
#define MADV_REMOVE 9
#endif

static void attack(void) {
  struct ring ring;
  unsigned round = 0;
  unsigned holes = 0;
  for (; round < 40; ++round) {
    if (!open_ring(&ring, kNormal, 65536)) break;
    for (uint64_t position = 0; position + 128 <= ring.capacity; position += 64)
      *(volatile uint64_t*)(ring.data + position) = word_at(position, 48, 7, 1);
    ring_bell(&ring);
    if (madvise(ring.header, 4096 + ring.capacity, MADV_REMOVE) == 0) ++holes;
    ring_bell(&ring);
    close_ring(&ring, 1);
  }
  say("REFUSED after %u channels and %u holes: 0", round, holes);
}

EVIL_PLUGIN;
