// Lies in its own ring: overwrites the records' headers with extremes before and after they are
// published.
#include "evil.h"

static mohhos_channel_t to_victim;
static unsigned round_number;

static void attack(void) {
  const int32_t opened =
      evil_host->open_channel(evil_host, 0, "victim", 0, 1000000000u, &to_victim);
  say("channel to victim: %d", (int)opened);
  evil_host->wake(evil_host);
}

static int32_t work(void* self) {
  (void)self;
  static const uint64_t kLies[] = {0,          1,          0x7FFFFFFF, 0x80000000,
                                   0xFFFFFFFF, 1ULL << 32, 1ULL << 63, UINT64_MAX,
                                   64,         63,         65536,      0xFFFFFFFFFFFFFFC0ULL};
  if (round_number >= 600) return 0;
  void* data = NULL;
  if (evil_host->loan(evil_host, to_victim, NULL, 64, &data) < 0) {
    (void)evil_host->open_channel(evil_host, 0, "victim", 0, 1000000000u, &to_victim);
    ++round_number;
    return 1;
  }
  const uint64_t lie = kLies[round_number % (sizeof kLies / sizeof *kLies)];
  // The header ends where the data begins; eight words of it, one per round, some 32 bits wide.
  unsigned char* word = (unsigned char*)data - 8 * (1 + (round_number / 12) % 8);
  memset(data, 0xEE, 64);
  if (round_number % 2 == 0) memcpy(word, &lie, round_number % 4 == 0 ? 8 : 4);
  (void)evil_host->commit(evil_host, to_victim);
  if (round_number % 2 == 1) memcpy(word, &lie, round_number % 4 == 1 ? 8 : 4);
  if (++round_number == 600) say("ATTACK DONE lying");
  return 1;
}

EVIL_PLUGIN_WITH_WORK;
