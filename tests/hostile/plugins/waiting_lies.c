// Says, without end, that it waits for everybody in turn, and for whoever waits for it: nobody's
// call may end by that.
#include "link.h"

static void claim(uint64_t peer, uint32_t sequence) {
  const struct {
    struct link_header header;
    uint64_t peer;
  } record = {{2, 72, 0, sizeof record, sequence}, peer};
  (void)send(3, &record, sizeof record, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void attack(void) {
  struct ring ring;
  (void)open_ring(&ring, kNormal, 0); // so that a claim to wait for the victim could be true
  for (unsigned i = 0; i < 100000; ++i) claim(i % 64, i);
  say("REFUSED nothing: 0");
}

// The caller has told the manager for whom it waits, and tells it again after a second: then its
// wait is the newest one, and would be ended if the claim were believed.
static int32_t evil_message(const mohhos_message_t* message) {
  for (unsigned i = 0; i < 30; ++i) {
    claim(message->sender, 0);
    (void)poll(NULL, 0, 50);
  }
  return answer_alive(message);
}

EVIL_PLUGIN_WITH_MESSAGES;
