/* A shared object that every ELF rule likes: the tests spoil copies of it, one thing at a time. */
#include <stdlib.h>
#include <string.h>

struct table {
  unsigned struct_size;
  unsigned abi_version;
  void* (*create)(const void*);
};

static void* create(const void* host) {
  char* state = malloc(16);
  if (state) memcpy(state, host, 16);
  return state;
}

__attribute__((visibility("default"))) extern const struct table mohhos_plugin;
const struct table mohhos_plugin = {sizeof(struct table), 1, create};
