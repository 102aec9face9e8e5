/* Many threads of a program on the one connection of libmohhos: each message, answer and view
 * arrives once, whoever is busy, also while another thread closes the connection over and over; who
 * waits hears of that; and a program may end while a thread still waits. argv[1]: the plugin
 * bounce. */
#undef NDEBUG
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mohhos/mohhos.h"
#include "start_plugin.h"

enum {
  SENDERS = 2,
  RECEIVERS = 3,
  EACH = 1500,
  CALLS = 400,
  IN_FLIGHT = 64,
  CLOSINGS = 40,
  PAIRS = 300
};

static plugin_id_t bounce;

/* --- all at once --- */

typedef struct {
  uint32_t sender;
  uint32_t number;
} numbered_t;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t came = PTHREAD_COND_INITIALIZER;
static unsigned seen[SENDERS][EACH]; /* under lock */
static unsigned in_flight;           /* under lock */
static unsigned received;            /* under lock */

static void* send_all(void* argument) {
  const uint32_t* self = argument;
  for (uint32_t number = 0; number < EACH; ++number) {
    numbered_t body = {*self, number};
    plugin_message_t message = {.type = MSG_PLUGIN_CUSTOM, .data_size = sizeof body, .data = &body};
    assert(pthread_mutex_lock(&lock) == 0);
    while (in_flight >= IN_FLIGHT) assert(pthread_cond_wait(&came, &lock) == 0);
    ++in_flight;
    assert(pthread_mutex_unlock(&lock) == 0);
    assert(plugin_send_message(bounce, &message) == 0);
  }
  return NULL;
}

static void count(const plugin_message_t* message) {
  numbered_t body;
  assert(message->data_size == sizeof body && message->sender == bounce);
  memcpy(&body, message->data, sizeof body);
  assert(body.sender < SENDERS && body.number < EACH);
  assert(pthread_mutex_lock(&lock) == 0);
  ++seen[body.sender][body.number];
  --in_flight;
  ++received;
  assert(pthread_cond_broadcast(&came) == 0);
  assert(pthread_mutex_unlock(&lock) == 0);
}

static bool all_received(void) {
  assert(pthread_mutex_lock(&lock) == 0);
  const bool all = received == SENDERS * EACH;
  assert(pthread_mutex_unlock(&lock) == 0);
  return all;
}

/* Copies and views in turn. */
static void* receive_all(void* unused) {
  (void)unused;
  for (unsigned i = 0; !all_received(); ++i) {
    plugin_message_t message;
    const int result =
        i % 2 == 0 ? plugin_receive_message(&message, 20) : plugin_receive_view(&message, 20);
    if (result == PLUGIN_E_TIMED_OUT) continue;
    assert(result == 0);
    count(&message);
    if (i % 2 == 0)
      plugin_message_free(&message);
    else
      assert(plugin_release_view(&message) == 0);
  }
  return NULL;
}

static void* call_often(void* unused) {
  char text[] = "seven b";
  (void)unused;
  for (int i = 0; i < CALLS; ++i) {
    plugin_message_t request = {.data_size = 7, .data = text};
    plugin_message_t response;
    assert(plugin_call(bounce, &request, &response, 60000) == 0);
    assert(response.data_size == 1 && *(char*)response.data == '7');
    plugin_message_free(&response);
  }
  return NULL;
}

static void* request_often(void* unused) {
  char text[] = "five!";
  (void)unused;
  for (int i = 0; i < CALLS; ++i) {
    plugin_message_t request = {.data_size = 5, .data = text};
    plugin_message_t response;
    request_id_t id;
    request_id_t taken_back;
    assert(plugin_request(bounce, &request, 60000, &id) == 0);
    assert(plugin_request(bounce, &request, 60000, &taken_back) == 0);
    const int cancelled = plugin_cancel_request(taken_back);
    assert(cancelled == 0 || cancelled == PLUGIN_E_NOT_FOUND); /* the answer was there already */
    assert(plugin_wait_response(id, &response, 60000) == 0);
    assert(response.data_size == 1 && *(char*)response.data == '5');
    plugin_message_free(&response);
  }
  return NULL;
}

static void* look_often(void* unused) {
  (void)unused;
  for (int i = 0; i < CALLS / 4; ++i) {
    plugin_info_t info;
    assert(plugin_get_info(bounce, &info) == 0 && info.state == PLUGIN_RUNNING);
    assert(plugin_get_info(424242, &info) == PLUGIN_E_NOT_FOUND);
    assert(strstr(plugin_last_error(), "424242") != NULL); /* this thread's own */
  }
  return NULL;
}

static void test_everything_at_once(void) {
  pthread_t threads[SENDERS + RECEIVERS + 3];
  uint32_t senders[SENDERS];
  unsigned begun = 0;
  for (uint32_t i = 0; i < SENDERS; ++i) {
    senders[i] = i;
    assert(pthread_create(&threads[begun++], NULL, send_all, &senders[i]) == 0);
  }
  for (int i = 0; i < RECEIVERS; ++i)
    assert(pthread_create(&threads[begun++], NULL, receive_all, NULL) == 0);
  assert(pthread_create(&threads[begun++], NULL, call_often, NULL) == 0);
  assert(pthread_create(&threads[begun++], NULL, request_often, NULL) == 0);
  assert(pthread_create(&threads[begun++], NULL, look_often, NULL) == 0);
  for (unsigned i = 0; i < begun; ++i) assert(pthread_join(threads[i], NULL) == 0);
  for (int sender = 0; sender < SENDERS; ++sender)
    for (int number = 0; number < EACH; ++number) assert(seen[sender][number] == 1);
}

/* --- one that is busy holds up nobody --- */

/* Messages come in pairs: who has the first one does not go on before the other has the second. */
static void* receive_half(void* unused) {
  (void)unused;
  for (;;) {
    plugin_message_t message;
    assert(plugin_receive_message(&message, 600000) == 0);
    const bool last = message.data_size == 0;
    plugin_message_free(&message);
    assert(pthread_mutex_lock(&lock) == 0);
    const unsigned mine = ++received;
    assert(pthread_cond_broadcast(&came) == 0);
    while (received < mine + mine % 2) assert(pthread_cond_wait(&came, &lock) == 0);
    assert(pthread_mutex_unlock(&lock) == 0);
    if (last) return NULL;
  }
}

static void test_one_is_busy(void) {
  pthread_t threads[2];
  char text[] = "text";
  received = 0;
  for (int i = 0; i < 2; ++i) assert(pthread_create(&threads[i], NULL, receive_half, NULL) == 0);
  for (unsigned pair = 1; pair <= PAIRS; ++pair) {
    plugin_message_t message = {.type = MSG_PLUGIN_CUSTOM, .data_size = 4, .data = text};
    if (pair == PAIRS) message.data_size = 0;
    assert(plugin_send_message(bounce, &message) == 0);
    assert(plugin_send_message(bounce, &message) == 0);
    assert(pthread_mutex_lock(&lock) == 0);
    while (received < 2 * pair) assert(pthread_cond_wait(&came, &lock) == 0);
    assert(pthread_mutex_unlock(&lock) == 0);
  }
  for (int i = 0; i < 2; ++i) assert(pthread_join(threads[i], NULL) == 0);
}

/* --- and the connection closed meanwhile --- */

static atomic_bool closing;
static atomic_uint waiting; /* threads */

/* Each step is done, or says that there is no connection any more; never anything else. */
static bool done_or_cut(const char* step, int result) {
  switch (result) {
  case 0: return true;
  case PLUGIN_E_UNREACHABLE:
  case PLUGIN_E_PEER_GONE:
  case PLUGIN_E_NOT_FOUND:
  case PLUGIN_E_TIMED_OUT:
  case PLUGIN_E_CANCELLED: return false;
  default: fprintf(stderr, "%s: %d, %s\n", step, result, plugin_last_error()); abort();
  }
}

static void* use_everything(void* unused) {
  char text[] = "text";
  (void)unused;
  while (atomic_load(&closing)) {
    plugin_message_t message = {.type = MSG_PLUGIN_CUSTOM, .data_size = 4, .data = text};
    plugin_message_t got;
    plugin_memory_t memory;
    request_id_t id;
    (void)done_or_cut("send message", plugin_send_message(bounce, &message));
    if (done_or_cut("receive view", plugin_receive_view(&got, 5)))
      (void)done_or_cut("release view", plugin_release_view(&got));
    if (done_or_cut("receive message", plugin_receive_message(&got, 0))) plugin_message_free(&got);
    if (done_or_cut("request", plugin_request(bounce, &message, 60000, &id)) &&
        done_or_cut("wait response", plugin_wait_response(id, &got, 60000)))
      plugin_message_free(&got);
    if (done_or_cut("make memory", plugin_make_memory(&memory, 4096))) {
      memset(memory.data, 1, 4096); /* there, whoever closed what */
      assert(plugin_drop_memory(&memory) == 0);
    }
  }
  return NULL;
}

static void test_closed_meanwhile(void) {
  pthread_t threads[3];
  atomic_store(&closing, true);
  for (int i = 0; i < 3; ++i) assert(pthread_create(&threads[i], NULL, use_everything, NULL) == 0);
  for (int i = 0; i < CLOSINGS; ++i) {
    plugin_info_t info;
    assert(plugin_get_info(bounce, &info) == 0);
    mohhos_disconnect();
  }
  atomic_store(&closing, false);
  for (int i = 0; i < 3; ++i) assert(pthread_join(threads[i], NULL) == 0);
}

static void* wait_for_a_message(void* result) {
  plugin_message_t message;
  *(int*)result = plugin_receive_message(&message, 600000);
  atomic_fetch_sub(&waiting, 1);
  return NULL;
}

/* Each thread that waits for a message hears of it. */
static void test_closed_while_others_wait(void) {
  pthread_t threads[3];
  int results[3] = {0};
  atomic_store(&waiting, 3);
  for (int i = 0; i < 3; ++i)
    assert(pthread_create(&threads[i], NULL, wait_for_a_message, &results[i]) == 0);
  while (atomic_load(&waiting) != 0) {
    plugin_info_t info;
    assert(plugin_get_info(bounce, &info) == 0);
    mohhos_disconnect();
  }
  for (int i = 0; i < 3; ++i)
    assert(pthread_join(threads[i], NULL) == 0 && results[i] == PLUGIN_E_UNREACHABLE);
}

/* --- the end --- */

static void* wait_for_ever(void* unused) {
  plugin_message_t message;
  (void)unused;
  for (;;)
    if (plugin_receive_message(&message, 60000) == 0) plugin_message_free(&message);
  return NULL;
}

static void* use_for_ever(void* rounds) {
  char text[] = "text";
  plugin_message_t message = {.type = MSG_PLUGIN_CUSTOM, .data_size = 4, .data = text};
  for (;;) {
    (void)plugin_send_message(bounce, &message);
    atomic_fetch_add((atomic_uint*)rounds, 1);
  }
  return NULL;
}

int main(int argc, char** argv) {
  static atomic_uint rounds;
  pthread_t receiving;
  pthread_t using;
  assert(argc == 2);
  bounce = start_plugin(argv[1]);
  test_everything_at_once();
  test_one_is_busy();
  test_closed_meanwhile();
  test_closed_while_others_wait();
  assert(pthread_create(&receiving, NULL, wait_for_ever, NULL) == 0);
  assert(pthread_create(&using, NULL, use_for_ever, &rounds) == 0);
  while (atomic_load(&rounds) < 100) {
  }
  puts("each once");
  return 0; /* with two threads in the library */
}
