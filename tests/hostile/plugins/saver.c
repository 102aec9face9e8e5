// An honest neighbour: for each request, sends the victim a durable message, and answers how having
// it on disk went.
#define EVIL_BYSTANDER
#include "evil.h"

static void* make(const mohhos_host_t* host) {
  evil_host = host;
  return &evil_host;
}

static int32_t on_message(void* self, const mohhos_message_t* message) {
  (void)self;
  const mohhos_send_options_t durable = {
      .struct_size = sizeof durable, .flags = MOHHOS_SEND_DURABLE, .timeout_ns = 5000000000u};
  mohhos_channel_t channel = 0;
  char text[40];
  int32_t result = evil_host->open_channel(evil_host, 0, "victim", 0, 5000000000u, &channel);
  if (result >= 0) result = evil_host->send(evil_host, channel, &durable, "saved", 5);
  if (result >= 0) result = evil_host->sync(evil_host, channel, 15000000000u);
  const int size = snprintf(text, sizeof text, "saved %d", result);
  const mohhos_request_t asked = {message->sender, message->correlation, message->deadline_ns};
  (void)evil_host->reply(evil_host, &asked, 0, text, (size_t)size, 1000000000u);
  return 0;
}

const mohhos_plugin_t mohhos_plugin = {
    .struct_size = sizeof(mohhos_plugin_t),
    .abi_version = MOHHOS_ABI_VERSION,
    .create = make,
    .on_message = on_message,
};
