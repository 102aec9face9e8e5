// Opens a ring to somebody who reads nothing, has a message in it put on disk, closes the ring, and
// does so again: what is on disk and unread is looked after by descriptors of the ring.
#include "link.h"

enum { kSynced = 12, kSync = 73, kRounds = 60, kRing = 4096 };

struct sync_record {
  struct link_header header;
  uint64_t channel, upto;
};

static int sync_one(const struct ring* ring) {
  const struct sync_record record = {
      {2, kSync, 0, sizeof record, ++link_sequence}, ring->channel, 16};
  if (send(3, &record, sizeof record, MSG_NOSIGNAL) < 0) return 0;
  for (;;) {
    struct {
      struct link_header header;
      char rest[2000];
    } answer;
    int fds[4];
    if (take_record(&answer, sizeof answer, fds, 2000) == 0) return 0;
    for (int i = 0; i < 4; ++i) {
      if (fds[i] >= 0) close(fds[i]);
    }
    if (answer.header.sequence == link_sequence) return answer.header.type == kSynced;
  }
}

static void attack(void) {
  unsigned synced = 0;
  for (unsigned i = 0; i < kRounds; ++i) {
    struct ring ring;
    if (!open_ring(&ring, kNormal, kRing)) break;
    const uint64_t durable = word_at(0, 0, 7, 0x20 | kNormal);
    __atomic_store_n((uint64_t*)(void*)ring.data, durable, __ATOMIC_RELEASE);
    synced += (unsigned)sync_one(&ring);
    close_ring(&ring, 1);
  }
  say("REFUSED nothing: %u messages on disk", synced);
}

EVIL_PLUGIN;
