/* Durable messages of a program. argv[1]: the id of the plugin that gets them; [2]: how many, or
 * "lost": of a connection that ends; [3]: the manager, which may be stopped for a while. */
#undef NDEBUG
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mohhos/mohhos.h"

static plugin_id_t vault;

static void send_number(int number) {
  char text[16];
  plugin_message_t message;
  memset(&message, 0, sizeof message);
  message.type = MSG_PLUGIN_CUSTOM;
  message.data = text;
  message.data_size = (uint32_t)snprintf(text, sizeof text, "%d", number);
  assert(plugin_send_durable(vault, &message) == 0);
  assert(message.id != 0);
}

static void* sync_in_thread(void* unused) {
  (void)unused;
  return (void*)(intptr_t)plugin_sync(vault, 60000);
}

/* One that takes long holds nobody up, and one that takes too long says so. */
static void test_waiting(pid_t manager) {
  pthread_t thread;
  plugin_message_t message;
  void* result = NULL;
  assert(kill(manager, SIGSTOP) == 0);
  assert(plugin_sync(vault, 1) == PLUGIN_E_TIMED_OUT);
  assert(pthread_create(&thread, NULL, sync_in_thread, NULL) == 0);
  for (int i = 0; i < 100; i++) assert(plugin_receive_message(&message, 1) == PLUGIN_E_TIMED_OUT);
  assert(kill(manager, SIGCONT) == 0);
  assert(pthread_join(thread, &result) == 0 && result == NULL);
}

/* Nobody can say any more whether it is on disk: that is not success. */
static void test_lost_connections(void) {
  send_number(1);
  assert(plugin_sync(vault, 20000) == 0);
  mohhos_disconnect(); /* all of it is on disk */
  assert(plugin_sync(vault, 20000) == 0);
  send_number(2);
  mohhos_disconnect();
  assert(plugin_sync(vault, 20000) == PLUGIN_E_UNREACHABLE);
  assert(strstr(plugin_last_error(), "send again") != NULL);
  assert(plugin_sync(vault, 20000) == 0);
}

int main(int argc, char** argv) {
  assert(argc == 4);
  vault = strtoull(argv[1], NULL, 10);
  if (strcmp(argv[2], "lost") == 0) {
    test_lost_connections();
    return 0;
  }
  const int count = atoi(argv[2]);
  for (int i = 0; i < count - 1; i++) send_number(i);
  assert(plugin_sync(vault, 20000) == 0);
  send_number(count - 1);
  test_waiting((pid_t)atol(argv[3]));
  assert(plugin_sync(vault, 20000) == 0);
  assert(plugin_sync(vault, 20000) == 0); /* nothing new: at once */
  assert(plugin_sync(987654, 1000) == PLUGIN_E_NOT_FOUND);
  assert(plugin_sync(0, 1000) == PLUGIN_E_INVALID);
  assert(plugin_send_durable(0, NULL) == PLUGIN_E_INVALID);
  return 0;
}
