// Gets a memory, and tries to write what others read.
#include "memories.h"

static void attack(void) {
  const mohhos_channel_t channel = victims_channel();
  mohhos_message_t answer;
  if (evil_host->call(evil_host, channel, NULL, "memory", 6, 2000000000u, &answer) < 0) return;
  mohhos_memory_t memory = 0;
  const void* data = NULL;
  uint64_t size = 0;
  const int32_t taken = evil_host->take_memory(evil_host, &answer, &memory, &data, &size);
  if (taken < 0 || memcmp(data, "the victim's", 12) != 0) {
    say("SUCCEEDED in getting nothing: %d", taken); // else there is nothing to attack
    return;
  }
  attempt("mprotect", mprotect((void*)data, 4096, PROT_READ | PROT_WRITE));
  attempt("mprotect executable", mprotect((void*)data, 4096, PROT_READ | PROT_EXEC));
  attempt("MADV_REMOVE", madvise((void*)data, 4096, 9));
  // The host has closed its descriptor; whatever is still there must not write it either.
  for (int fd = 3; fd < 128; ++fd) {
    char text[64];
    if (fcntl(fd, F_GETFD) < 0) continue;
    snprintf(text, sizeof text, "/proc/self/fd/%d", fd);
    if (open(text, O_RDWR) >= 0) say("SUCCEEDED in reopening %d", fd);
  }
  attempt("sending it on", options_send(channel, memory));
  (void)evil_host->drop_memory(evil_host, memory);
  attempt("dropping it twice", evil_host->drop_memory(evil_host, memory));
  // Again and again, and none is let go of.
  unsigned kept = 0;
  for (; kept < 200; ++kept) {
    if (evil_host->call(evil_host, channel, NULL, "memory", 6, 2000000000u, &answer) < 0) break;
    if (evil_host->take_memory(evil_host, &answer, &memory, &data, &size) < 0) break;
  }
  say("REFUSED after %u that were kept: 0", kept);
  if (kept > 16) say("SUCCEEDED in keeping %u", kept);
}

EVIL_PLUGIN;
