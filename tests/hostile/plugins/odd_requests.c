// Requests of which the victim's plugin sees nothing: taken back at once, too late from the
// beginning, for ever in the future. Each is the host's own affair, and must not keep it from the
// rest.
#include "link.h"

static void attack(void) {
  struct ring ring;
  if (!open_ring(&ring, kNormal, 1u << 20)) return;
  uint64_t position = 0;
  const uint64_t capacity = ring.capacity;
  for (unsigned round = 0; position + 128 <= capacity; ++round, position += 64) {
    volatile uint64_t* const record = (volatile uint64_t*)(ring.data + position);
    const uint32_t cancels = round % 2 == 0 ? 1u << 4 : 0;
    record[1] = UINT64_MAX;                                // sent in the future
    record[2] = 1 + round;                                 // correlation
    record[3] = round % 3 == 0 ? 1 : UINT64_MAX;           // deadline: long ago, never
    record[4] = UINT32_MAX;                                // of a generation that does not exist
    record[0] = word_at(position, 16, 3, 1 | 4 | cancels); // DataRequest, normal, extended
    if (round % 64 == 0) ring_bell(&ring);
  }
  ring_bell(&ring);
  say("REFUSED %u requests: 0", (unsigned)(position / 64));
}

EVIL_PLUGIN;
