// Wishes for the largest rings on every lane, and touches all of their memory: it is its own that
// it uses up.
#include "link.h"

static void attack(void) {
  struct ring ring;
  for (uint32_t lane = 0; lane < 4; ++lane) {
    attempt("a ring of a gigabyte", open_ring(&ring, lane, 1u << 30) ? 0 : -1);
    drop_ring(&ring);
  }
  for (uint32_t lane = 0; lane < 4; ++lane) {
    if (!open_ring(&ring, lane, 16u << 20)) continue;
    memset(ring.data, 0xEE, ring.capacity);
  }
}

EVIL_PLUGIN;
