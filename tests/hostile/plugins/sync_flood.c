// Sends durable messages without end, and asks to have them on disk far more often than that can
// be: its own, up to where nothing was sent, and channels of others. Reads no answer for long.
#include "link.h"

enum { kSynced = 12, kSync = 73, kRound = 256 };

static mohhos_channel_t channel;
static uint64_t own, sent_to;
// Said when the link has room again: while it is flooded, log lines are lost.
static char too_many[200], foreign[200];
static unsigned granted;

struct sync_record {
  struct link_header header;
  uint64_t channel, upto;
};

static void ask(uint64_t which, uint64_t upto, uint32_t kind) {
  const struct sync_record record = {
      {2, kSync, 0, sizeof record, (++link_sequence & 0x00FFFFFF) | kind << 24}, which, upto};
  (void)send(3, &record, sizeof record, MSG_DONTWAIT | MSG_NOSIGNAL);
}

enum { kPossible = 1, kBeyond = 2, kForeign = 3 };

// Only what answers us: the rest is the host's.
static void read_answers(int timeout_ms) {
  struct {
    struct link_header header;
    int32_t code;
    uint32_t reserved;
    char text[2000];
  } record;
  struct pollfd wait = {.fd = 3, .events = POLLIN};
  (void)poll(&wait, 1, timeout_ms);
  while (recv(3, &record, sizeof record, MSG_PEEK | MSG_DONTWAIT) > 0) {
    const uint32_t kind = record.header.sequence >> 24;
    if (kind < kPossible || kind > kForeign) return;
    (void)recv(3, &record, sizeof record, MSG_DONTWAIT);
    if (record.header.type == kSynced && kind != kPossible) ++granted;
    if (record.header.type != kRefused) continue;
    if (kind == kPossible && strstr(record.text, "under way") != NULL)
      snprintf(too_many, sizeof too_many, "%.180s", record.text);
    if (kind == kForeign) snprintf(foreign, sizeof foreign, "%.180s", record.text);
  }
}

static void flood(void) {
  const mohhos_send_options_t durable = {.struct_size = sizeof durable,
                                         .flags = MOHHOS_SEND_DURABLE};
  static const char kText[40] = "durable";
  for (unsigned i = 0; i < kRound; ++i) {
    if (evil_host->send(evil_host, channel, &durable, kText, sizeof kText) == 0) sent_to += 64;
    ask(own, sent_to, kPossible);
    if (i % 8 == 0) ask(own, sent_to + (1u << 30), kBeyond);
    if (i % 8 == 4) ask(own + 1 + i, 64, kForeign);
  }
}

static void attack(void) {
  (void)evil_host->open_channel(evil_host, 0, "victim", 0, 1000000000u, &channel);
  own = channel;
  for (unsigned i = 0; i < 16; ++i) {
    flood();
    read_answers(i % 4 == 3 ? 20 : 0);
  }
  for (unsigned i = 0; i < 50; ++i) read_answers(10);
  if (granted != 0) say("SUCCEEDED in %u syncs that cannot be", granted);
  say("REFUSED %s: 0", too_many);
  say("REFUSED %s: 0", foreign);
  evil_host->wake(evil_host);
}

// It goes on while others want the disk.
static int32_t work(void* self) {
  (void)self;
  flood();
  read_answers(0);
  evil_host->wake_after(evil_host, 2000000);
  return 0;
}

EVIL_PLUGIN_WITH_WORK;
