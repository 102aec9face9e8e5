// Is to be begun again when it dies, so what it leaves unread is worth keeping; and reads nothing
// but one message, which it never comes back from.
#define EVIL_BYSTANDER
#include "evil.h"

static void* make(const mohhos_host_t* host) {
  evil_host = host;
  return &evil_host;
}

static int32_t on_message(void* self, const mohhos_message_t* message) {
  (void)self;
  (void)message;
  for (;;) pause();
}

const mohhos_plugin_t mohhos_plugin = {
    .struct_size = sizeof(mohhos_plugin_t),
    .abi_version = MOHHOS_ABI_VERSION,
    .create = make,
    .on_message = on_message,
};
