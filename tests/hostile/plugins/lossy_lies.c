// Publishes events that may lose their oldest, and lies about which are lost: `oldest` anywhere,
// numbers that jump and go back, records that are none.
#include "link.h"

static void attack(void) {
  tell_victim("subscribe");
  struct ring ring;
  uint64_t x = 88172645463325252u;
  unsigned opened = 0;
  for (unsigned round = 0; round < 200000; ++round) {
    if (round % 4000 == 0) {
      if (opened != 0) close_ring(&ring, 1);
      if (!open_lossy_ring(&ring, 7)) break;
      ++opened;
    }
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    volatile uint64_t* const oldest = (volatile uint64_t*)(ring.header + 128);
    // Mostly at a place where the next lie is a record, or the first one ends the channel.
    *oldest = round % 5 == 0 ? x & ~63u : *oldest + (x % 64) * 64;
    const uint64_t place = *oldest;
    volatile uint64_t* const record =
        (volatile uint64_t*)(ring.data + (place & (ring.capacity - 1)));
    if ((place & (ring.capacity - 1)) + 64 <= ring.capacity) {
      record[1] = x;                      // timestamp
      record[2] = round % 3 == 0 ? 0 : x; // number
      record[3] = x;                      // deadline
      record[4] = (uint64_t)7 << 32;      // event
      record[0] =
          word_at(place, (uint32_t)(x >> 40 & 0x3FFFF), 5, 5); // a size that may be too much
    }
    if (round % 16 == 0) ring_bell(&ring);
  }
  say("REFUSED after %u channels: 0", opened);
  if (opened != 0) close_ring(&ring, 1);
}

EVIL_PLUGIN;
