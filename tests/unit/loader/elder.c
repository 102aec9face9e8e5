/* A plugin whose table ends where version 1 began: what lies behind it is not the host's to call.
 */
#include "mohhos/abi.h"

static void* create(const mohhos_host_t* host) {
  host->log(host, MOHHOS_LOG_INFO, "old and well");
  return (void*)(uintptr_t)host;
}

static int32_t no_callback(void* self, const mohhos_request_t* request) {
  (void)request;
  const mohhos_host_t* host = self;
  host->panic(host, "on_cancel was called");
  return 0;
}

const mohhos_plugin_t mohhos_plugin = {
    .struct_size = offsetof(mohhos_plugin_t, on_cancel),
    .abi_version = MOHHOS_ABI_VERSION,
    .create = &create,
    .on_cancel = &no_callback,
};
