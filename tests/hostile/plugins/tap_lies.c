// Is recorded, and makes the copies itself: one that could be, with a loss that cannot, and then
// one of a message that cannot be.
#include "link.h"

enum { kTap = 6, kDroppedAt = 192 + 7 * 8 };

struct tap_header {
  uint64_t channel, id, sender, sent_ns, received_ns, correlation, deadline_ns, attachment, missed;
  uint32_t type, priority, event, generation, flags, lane;
};

static void attack(void) {
  evil_host->wake(evil_host);
}

// The ring of copies, taken from the link before the host sees it.
static int find_ring(struct ring* ring) {
  for (;;) {
    struct {
      struct link_header header;
      uint64_t channel, peer, bytes;
      uint32_t role, type, peer_generation, ring_generation, lane;
      char rest[2000];
    } record;
    int fds[4];
    if (take_record(&record, sizeof record, fds, 20000) == 0) return 0;
    if (record.header.type != kOpened || record.role != 1 || record.lane != kTap) continue;
    void* const memory =
        mmap(NULL, 4096 + record.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
    *ring =
        (struct ring){record.channel, record.bytes, memory, (unsigned char*)memory + 4096, fds[2]};
    return memory != MAP_FAILED;
  }
}

static uint64_t copy(const struct ring* ring, uint64_t position, struct tap_header header) {
  unsigned char* const record = ring->data + position;
  memcpy(record + 16, &header, sizeof header);
  *(volatile uint64_t*)(record + 112) = 0;
  *(volatile uint64_t*)record = word_at(position, sizeof header, 7, 1);
  ring_bell(ring);
  return position + 112;
}

static int32_t work(void* self) {
  (void)self;
  struct ring ring;
  if (!find_ring(&ring)) {
    say("REFUSED a ring of copies: 0");
    return 0;
  }
  *(volatile uint64_t*)(ring.header + kDroppedAt) = UINT64_MAX;
  const struct tap_header sane = {
      .channel = 1, .missed = UINT64_MAX - 1, .type = 7, .priority = 1, .lane = 1};
  struct tap_header insane = sane;
  insane.lane = 77;
  insane.flags = UINT32_MAX;
  (void)copy(&ring, copy(&ring, 0, sane), insane);
  say("COPIES MADE");
  return 0;
}

EVIL_PLUGIN_WITH_WORK;
