// Opens a channel to its neighbour and closes it, over and over: the neighbour, which may be frozen
// or busy and not read its link, must not be taken for one that never will.
#include <poll.h>
#include <sys/socket.h>

#include "evil.h"

struct Header {
  uint32_t version;
  uint16_t type, reserved;
  uint32_t size, sequence;
};

// The channel that was opened for us to send on; 0: refused.
static uint64_t wait_for_channel(void) {
  for (;;) {
    struct {
      struct Header header;
      uint64_t channel, peer, ring;
      uint32_t role;
      char rest[1900];
    } record;
    char control[256];
    struct iovec part = {&record, sizeof record};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    struct pollfd link = {.fd = 3, .events = POLLIN};
    (void)poll(&link, 1, -1);
    if (recvmsg(3, &message, 0) <= 0) return 0;
    for (struct cmsghdr* c = CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c)) {
      const int* fds = (const int*)CMSG_DATA(c);
      for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof *fds; ++i) close(fds[i]);
    }
    if (record.header.type == 2 && record.role == 1) return record.channel;
    if (record.header.type == 3) return 0;
  }
}

static void attack(void) {
  struct {
    struct Header header;
    uint64_t target, ring;
    uint32_t lane, reserved;
    char name[64];
  } open = {{2, 65, 0, sizeof open, 0}, 0, 0, 1, 0, "victim"};
  struct {
    struct Header header;
    uint64_t channel;
    uint32_t reason, more;
    char text[1024];
  } shut = {{2, 66, 0, sizeof shut, 0}, 0, 1, 0, {0}};
  for (int i = 0; i < 1200; ++i) {
    open.header.sequence = 1000000u + (uint32_t)i;
    (void)send(3, &open, sizeof open, MSG_NOSIGNAL);
    shut.channel = wait_for_channel();
    (void)send(3, &shut, sizeof shut, MSG_NOSIGNAL);
  }
}

EVIL_PLUGIN;
