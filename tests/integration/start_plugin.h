/* A plugin of a C program that tests the C API: loaded from a file and started. */
#ifndef MOHHOS_TESTS_START_PLUGIN_H
#define MOHHOS_TESTS_START_PLUGIN_H

#undef NDEBUG
#include <assert.h>
#include <stddef.h>

#include "mohhos/mohhos.h"

static inline plugin_id_t start_plugin(const char* file) {
  plugin_descriptor_t* plugin = NULL;
  assert(plugin_load(file, &plugin) == 0);
  const plugin_id_t id = plugin->id;
  plugin_descriptor_free(plugin);
  assert(plugin_start(id) == 0);
  return id;
}

#endif
