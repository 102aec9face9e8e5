// Writes into the ring that it may only read: its own process dies of it, and nobody else.
#include "evil.h"

static void attack(void) {}

static int32_t evil_message(const mohhos_message_t* message) {
  volatile char* data = (volatile char*)(uintptr_t)message->data;
  data[0] = 'X';
  say("SUCCEEDED writing the peer's ring");
  return answer_alive(message);
}

EVIL_PLUGIN_WITH_MESSAGES;
