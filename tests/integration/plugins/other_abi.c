// A plugin for a host of another generation.
#include "mohhos/abi.h"

static void* create(const mohhos_host_t* host) {
  return (void*)(uintptr_t)host;
}

const mohhos_plugin_t mohhos_plugin = {
    .struct_size = sizeof(mohhos_plugin_t),
    .abi_version = MOHHOS_ABI_VERSION + 1,
    .create = create,
};
