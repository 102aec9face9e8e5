/* Durable messages of a program. argv[1]: the id of the plugin that gets them; [2]: how many. */
#undef NDEBUG
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mohhos/mohhos.h"

int main(int argc, char** argv) {
  assert(argc == 3);
  const plugin_id_t vault = strtoull(argv[1], NULL, 10);
  const int count = atoi(argv[2]);
  for (int i = 0; i < count; i++) {
    char text[16];
    plugin_message_t message;
    memset(&message, 0, sizeof message);
    message.type = MSG_PLUGIN_CUSTOM;
    message.data = text;
    message.data_size = (uint32_t)snprintf(text, sizeof text, "%d", i);
    assert(plugin_send_durable(vault, &message) == 0);
    assert(message.id != 0);
  }
  assert(plugin_sync(vault, 20000) == 0);
  assert(plugin_sync(vault, 20000) == 0); /* nothing new: at once */
  assert(plugin_sync(987654, 1000) == PLUGIN_E_NOT_FOUND);
  assert(plugin_send_durable(0, NULL) == PLUGIN_E_INVALID);
  return 0;
}
