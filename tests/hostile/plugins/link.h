// The link and the rings as an evil plugin speaks them: descriptor 3, records by number, and the
// memory of a channel to do with as it likes.
#ifndef LINK_H
#define LINK_H

#include <poll.h>
#include <sys/socket.h>

#include "evil.h"

enum {
  kOpened = 2,
  kRefused = 3,
  kClosed = 4,
  kGroup = 5,
  kOpen = 65,
  kClose = 66,
  kOpenGroup = 67
};
enum { kNormal = 1, kReply = 4, kLossy = 5 };

struct link_header {
  uint32_t version;
  uint16_t type, reserved;
  uint32_t size, sequence;
};

// A channel that we send on: its memory, mapped once.
struct ring {
  uint64_t channel;
  uint64_t capacity;
  unsigned char* header; // 4096 bytes, then the ring
  unsigned char* data;
  int bell;
};

struct open_request {
  struct link_header header;
  uint64_t target, ring;
  uint32_t lane, reserved;
  char name[64];
};
struct close_request {
  struct link_header header;
  uint64_t channel;
  uint32_t reason, reserved;
  char text[1024];
};
struct group_request {
  struct link_header header;
  uint32_t kind, value;
};

static uint32_t link_sequence = 1000000;

// The next record of the link, and up to four descriptors (-1: none). Its size, or 0.
UNUSED static size_t take_record(void* bytes, size_t most, int fds[4], int timeout_ms) {
  char control[CMSG_SPACE(4 * sizeof(int))];
  struct iovec part = {bytes, most};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct pollfd wait = {.fd = 3, .events = POLLIN};
  for (int i = 0; i < 4; ++i) fds[i] = -1;
  if (poll(&wait, 1, timeout_ms) <= 0) return 0;
  const ssize_t size = recvmsg(3, &message, 0);
  if (size <= 0) return 0;
  for (struct cmsghdr* c = CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c))
    memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
  return (size_t)size;
}

UNUSED static void drop_ring(struct ring* ring) {
  if (ring->header != NULL) munmap(ring->header, 4096 + ring->capacity);
  if (ring->bell >= 0) close(ring->bell);
  memset(ring, 0, sizeof *ring);
  ring->bell = -1;
}

// What was asked for is opened: its memory. False: refused, or nothing came.
UNUSED static int wait_for_ring(struct ring* ring) {
  memset(ring, 0, sizeof *ring);
  ring->bell = -1;
  for (;;) {
    struct {
      struct link_header header;
      uint64_t channel, peer, bytes;
      uint32_t role;
      char rest[2000];
    } record;
    int fds[4];
    if (take_record(&record, sizeof record, fds, 2000) == 0) return 0;
    const int mine = record.header.type == kOpened && record.role == 1;
    if (mine) {
      void* const memory =
          mmap(NULL, 4096 + record.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
      *ring = (struct ring){record.channel, record.bytes, memory, (unsigned char*)memory + 4096,
                            fds[2]};
      if (memory == MAP_FAILED) ring->header = NULL;
    }
    for (int i = 0; i < 4; ++i) {
      if (fds[i] >= 0 && !(mine && i == 2)) close(fds[i]);
    }
    if (mine) return ring->header != NULL;
    const int answers = record.header.sequence == link_sequence;
    if (answers && (record.header.type == kRefused || record.header.type == kGroup)) return 0;
  }
}

UNUSED static int open_ring_to(const char* name, struct ring* ring, uint32_t lane, uint64_t bytes) {
  struct open_request open = {{2, kOpen, 0, sizeof open, ++link_sequence}, 0, bytes, lane, 0, {0}};
  snprintf(open.name, sizeof open.name, "%s", name);
  if (send(3, &open, sizeof open, MSG_NOSIGNAL) < 0) return 0;
  return wait_for_ring(ring);
}

UNUSED static int open_ring(struct ring* ring, uint32_t lane, uint64_t bytes) {
  return open_ring_to("victim", ring, lane, bytes);
}

// The channel for an event that is declared as losing its oldest.
UNUSED static int open_lossy_ring(struct ring* ring, uint32_t event) {
  const struct group_request group = {{2, kOpenGroup, 0, sizeof group, ++link_sequence}, 2, event};
  if (send(3, &group, sizeof group, MSG_NOSIGNAL) < 0) return 0;
  return wait_for_ring(ring);
}

UNUSED static void close_ring(struct ring* ring, uint32_t reason) {
  struct close_request shut = {{2, kClose, 0, sizeof shut, 0}, ring->channel, reason, 0, {0}};
  (void)send(3, &shut, sizeof shut, MSG_NOSIGNAL);
  drop_ring(ring);
}

// A publish word for the record at this place.
UNUSED static uint64_t word_at(uint64_t position, uint32_t size, uint32_t type, uint32_t flags) {
  const uint64_t grain = position / 16;
  const uint64_t tag = 0x8000u | ((grain + (grain >> 15)) & 0x7FFFu);
  return size | tag << 32 | (uint64_t)type << 48 | (uint64_t)flags << 56;
}

UNUSED static void ring_bell(const struct ring* ring) {
  const uint64_t once = 1;
  (void)!write(ring->bell, &once, sizeof once);
}

// The victim takes part in events only when it is told to.
UNUSED static void tell_victim(const char* text) {
  mohhos_channel_t channel = 0;
  mohhos_message_t answer;
  (void)evil_host->open_channel(evil_host, 0, "victim", 0, 1000000000u, &channel);
  (void)evil_host->call(evil_host, channel, NULL, text, strlen(text), 2000000000u, &answer);
}

#endif
