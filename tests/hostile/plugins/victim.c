// The neighbour of the evil ones: takes whatever they send, answers requests, must live through all
// of it.
#define EVIL_BYSTANDER
#include "evil.h"

static uint64_t messages;
static uint64_t broken;

static void* make(const mohhos_host_t* host) {
  evil_host = host;
  return &evil_host;
}

static int32_t give_memory(const mohhos_message_t* message) {
  mohhos_memory_t memory = 0;
  void* data = NULL;
  const mohhos_request_t asked = {message->sender, message->correlation, message->deadline_ns};
  if (evil_host->make_memory(evil_host, 8192, 1000000000u, &memory, &data) >= 0)
    memcpy(data, "the victim's", 12);
  if (evil_host->reply_memory(evil_host, &asked, "yours", 5, memory, 1000000000u) < 0)
    (void)evil_host->reply(evil_host, &asked, MOHHOS_E_EXHAUSTED, "no", 2, 1000000000u);
  (void)evil_host->drop_memory(evil_host, memory);
  return 0;
}

static int32_t on_message(void* self, const mohhos_message_t* message) {
  (void)self;
  ++messages;
  static const char kSubscribe[] = "subscribe";
  if (message->size == sizeof kSubscribe - 1 &&
      memcmp(message->data, kSubscribe, sizeof kSubscribe - 1) == 0) {
    const uint32_t event = 7;
    (void)evil_host->subscribe(evil_host, 0, &event, 1);
  }
  // Looks at whatever is said to come along.
  mohhos_memory_t came = 0;
  const void* data = NULL;
  uint64_t size_of_it = 0;
  if ((message->flags & MOHHOS_MESSAGE_MEMORY) != 0 &&
      evil_host->take_memory(evil_host, message, &came, &data, &size_of_it) >= 0)
    (void)evil_host->drop_memory(evil_host, came);
  if (message->correlation == 0) return 0;
  if (message->size == 6 && memcmp(message->data, "memory", 6) == 0) return give_memory(message);
  int32_t asked_status = 1;
  static const char kAsk[] = "ask waiting_lies"; // a call that takes long
  if (message->size == sizeof kAsk - 1 && memcmp(message->data, kAsk, sizeof kAsk - 1) == 0) {
    mohhos_channel_t channel = 0;
    mohhos_message_t answer;
    asked_status = evil_host->open_channel(evil_host, 0, "waiting_lies", 0, 5000000000u, &channel);
    if (asked_status >= 0)
      asked_status = evil_host->call(evil_host, channel, NULL, "?", 1, 15000000000u, &answer);
  }
  char text[80];
  const int size = snprintf(text, sizeof text, "alive messages=%llu broken=%llu asked=%d",
                            (unsigned long long)messages, (unsigned long long)broken, asked_status);
  const mohhos_request_t asked = {message->sender, message->correlation, message->deadline_ns};
  (void)evil_host->reply(evil_host, &asked, 0, text, (size_t)size, 1000000000u);
  return 0;
}

static int32_t on_peer(void* self, uint64_t peer, uint32_t what) {
  (void)self;
  (void)peer;
  if (what == MOHHOS_PEER_BROKEN) ++broken;
  return 0;
}

const mohhos_plugin_t mohhos_plugin = {
    .struct_size = sizeof(mohhos_plugin_t),
    .abi_version = MOHHOS_ABI_VERSION,
    .create = make,
    .on_message = on_message,
    .on_peer = on_peer,
};
