/* A plugin whose thread fails without end, in one sentence of a's and one of b's; on_config fails
 * with whatever was said last. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "mohhos/abi.h"

static pthread_t thread;
static atomic_bool done;

static void* fail_for_ever(void* self) {
  const mohhos_host_t* host = self;
  char many[901] = "";
  char some[301] = "";
  memset(many, 'a', sizeof many - 1);
  memset(some, 'b', sizeof some - 1);
  while (!atomic_load(&done)) {
    host->fail(host, many);
    host->fail(host, some);
  }
  return NULL;
}

static void* create(const mohhos_host_t* host) {
  void* const self = (void*)(uintptr_t)host;
  return pthread_create(&thread, NULL, fail_for_ever, self) == 0 ? self : NULL;
}

static void destroy(void* self) {
  (void)self;
  atomic_store(&done, true);
  pthread_join(thread, NULL);
}

static int32_t on_config(void* self, const char* key, const char* value) {
  (void)self;
  (void)key;
  (void)value;
  return MOHHOS_E_FAILED;
}

const mohhos_plugin_t mohhos_plugin = {
    .struct_size = sizeof(mohhos_plugin_t),
    .abi_version = MOHHOS_ABI_VERSION,
    .create = create,
    .destroy = destroy,
    .on_config = on_config,
};
