// Is begun again when it dies, and dies soon after it was begun.
#include "evil.h"

static void attack(void) {
  evil_host->wake(evil_host);
}

static int32_t work(void* self) {
  (void)self;
  *(volatile int*)8 = 1;
  return 0;
}

static int32_t evil_message(const mohhos_message_t* message) {
  return answer_alive(message);
}

const mohhos_plugin_t mohhos_plugin = {
    .struct_size = sizeof(mohhos_plugin_t),
    .abi_version = MOHHOS_ABI_VERSION,
    .create = evil_create,
    .on_start = evil_start,
    .on_message = evil_on_message,
    .on_work = work,
};
