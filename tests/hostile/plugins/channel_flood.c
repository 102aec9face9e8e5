// Asks for the same channel again and again, and subscribes to everything.
#include "evil.h"

static void attack(void) {
  mohhos_channel_t channel = 0;
  for (int i = 0; i < 300; ++i) {
    (void)evil_host->open_channel(evil_host, 0, "victim", 0, 100000000u, &channel);
  }
  uint32_t events[31];
  for (uint32_t i = 0; i < 2000; ++i) {
    for (uint32_t k = 0; k < 31; ++k) events[k] = i * 31 + k;
    (void)evil_host->subscribe(evil_host, 0, events, 31);
  }
  say("REFUSED nothing: 0");
}

EVIL_PLUGIN;
