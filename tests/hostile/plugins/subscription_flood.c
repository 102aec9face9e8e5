// Subscribes without end: to events that nobody has, and to any number of those that a program may
// publish. It gets as many as one party may have, and no answer is missing.
#include "link.h"

enum { kSubscribed = 9, kSubscribe = 68, kMostOfAParty = 256 };

static void read_all(void) {
  char record[2048];
  int fds[4];
  while (take_record(record, sizeof record, fds, 0) != 0) {
  }
}

// Patient: the manager does not read who does not read its answers.
static void subscribe(uint64_t publisher, uint32_t first, uint32_t count, int patient) {
  struct {
    struct link_header header;
    uint64_t publisher;
    uint32_t count, events[31];
  } record = {{2, kSubscribe, 0, sizeof record, ++link_sequence}, publisher, count, {0}};
  for (uint32_t i = 0; i < count; ++i) record.events[i] = first + i;
  while (send(3, &record, sizeof record, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && patient) {
    read_all();
    (void)poll(NULL, 0, 1);
  }
}

// Whether the last one was granted.
static int granted(void) {
  struct {
    struct link_header header;
    char rest[2032];
  } record;
  int fds[4];
  while (take_record(&record, sizeof record, fds, 2000) != 0) {
    if (record.header.sequence != link_sequence) continue;
    return record.header.type == kSubscribed;
  }
  say("SUCCEEDED in getting no answer");
  return 0;
}

static void attack(void) {
  for (uint32_t i = 0; i < 20000; ++i) subscribe(i % 8, i, 1 + i % 31, 0);
  subscribe(0, 424242, 1, 1);
  attempt("an event that nobody has", granted() ? 0 : -1);
}

static int32_t evil_message(const mohhos_message_t* message) {
  unsigned got = 0;
  for (uint32_t i = 0; i < 2000; ++i) {
    subscribe(message->sender, i, 1, 1);
    if (granted()) ++got;
  }
  if (got > kMostOfAParty) say("SUCCEEDED in having %u subscriptions", got);
  say("REFUSED after %u subscriptions: 0", got);
  return answer_alive(message);
}

EVIL_PLUGIN_WITH_MESSAGES;
