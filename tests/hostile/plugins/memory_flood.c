// Asks for memories without end and of any size, and sends what is not its own, where it may not,
// and more than anybody takes.
#include "memories.h"

static uint64_t numbers[5000];

static void attack(void) {
  struct ring ring;
  struct memory memory;
  if (!open_ring(&ring, kNormal, 65536)) return;
  static const uint64_t kSizes[] = {0, 1ull << 31, 1ull << 40, 1ull << 63, UINT64_MAX, 48ull << 21};
  for (unsigned i = 0; i < sizeof kSizes / sizeof *kSizes; ++i) {
    const int got = ask_for_memory(kSizes[i], &memory);
    errno = -memory.refused;
    attempt("a memory of a mad size", got ? 0 : -1);
  }
  unsigned made = 0;
  for (; made < 5000 && ask_for_memory(4096, &memory); ++made) {
    numbers[made] = memory.number;
    close(memory.fd);
  }
  say("REFUSED after %u memories: %d", made, -memory.refused);
  if (made == 0 || made > 64) say("SUCCEEDED in having %u memories", made);
  // Whose are these? And where to?
  for (uint64_t number = 0; number < 200; ++number) {
    int mine = 0;
    for (unsigned i = 0; i < made; ++i) mine |= numbers[i] == number;
    if (!mine && ask_to_send(ring.channel, 1, number) >= 0)
      say("SUCCEEDED in sending %llu", (unsigned long long)number);
  }
  for (uint64_t channel = 0; channel < 64; ++channel) {
    if (channel != ring.channel && ask_to_send(channel, 1, numbers[0]) >= 0)
      say("SUCCEEDED in sending to channel %llu", (unsigned long long)channel);
  }
  // To who reads no message with it, at places of any kind.
  unsigned sent = 0;
  for (; sent < 5000 && ask_to_send(ring.channel, (sent + 1) * 977, numbers[sent % made]) >= 0;)
    ++sent;
  say("REFUSED after %u were sent: 0", sent);
  if (sent > 64) say("SUCCEEDED in sending %u", sent);
  // A thousand messages that name what did not come with them.
  for (uint64_t position = 0; position < 64000; position += 64) {
    *(volatile uint64_t*)(ring.data + position + 40) = numbers[position / 64 % made] + position % 3;
    *(volatile uint64_t*)(ring.data + position) = word_at(position, 16, 7, 1 | 4);
  }
  ring_bell(&ring);
  for (unsigned i = 0; i < 5000; ++i) ask_to_release(ring.channel, i, i);
  // Once one is answered again, the link has room for words.
  do poll(NULL, 0, 5);
  while (!ask_for_memory(0, &memory) && memory.refused == -1);
}

EVIL_PLUGIN;
