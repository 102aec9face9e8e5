/* Requests of the C API that are waited for later, or taken back. argv[1], argv[2]: the plugins
 * slow and slower. */
#undef NDEBUG
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "mohhos/mohhos.h"
#include "start_plugin.h"

static plugin_id_t slow;

static request_id_t ask(const char* text, uint32_t timeout_ms) {
  plugin_message_t request;
  request_id_t id = 0;
  memset(&request, 0, sizeof request);
  request.data_size = (uint32_t)strlen(text);
  request.data = (void*)text;
  assert(plugin_request(slow, &request, timeout_ms, &id) == 0 && id != 0);
  return id;
}

static void expect_answer(request_id_t id, const char* text) {
  plugin_message_t response;
  assert(plugin_wait_response(id, &response, 10000) == 0);
  assert(response.type == MSG_PLUGIN_DATA_RESPONSE && response.sender == slow);
  assert(response.data_size == strlen(text) && memcmp(response.data, text, strlen(text)) == 0);
  plugin_message_free(&response);
  assert(plugin_wait_response(id, &response, 0) == PLUGIN_E_NOT_FOUND);
  assert(plugin_cancel_request(id) == PLUGIN_E_NOT_FOUND);
}

static void expect_number(const char* question, const char* text) {
  expect_answer(ask(question, 10000), text);
}

static void test_waits_and_looks(void) {
  plugin_message_t response;
  const request_id_t first = ask("hold", 60000);
  const request_id_t second = ask("hold", 60000);
  assert(first != second);
  assert(plugin_wait_response(first, &response, 0) == 1);
  expect_number("held", "2");
  assert(plugin_wait_response(first, &response, 20) == 1);
  expect_number("go", "0");
  expect_answer(second, "late");
  expect_answer(first, "late");
}

static void test_takes_back(void) {
  plugin_message_t response;
  const request_id_t id = ask("hold", 60000);
  expect_number("held", "1");
  assert(plugin_cancel_request(id) == 0);
  assert(plugin_cancel_request(id) == PLUGIN_E_NOT_FOUND);
  assert(plugin_wait_response(id, &response, 0) == PLUGIN_E_NOT_FOUND);
  /* Behind the request, on its lane. */
  expect_number("cancelled", "1");
  expect_number("held", "0");
  /* An answer that is there and that nobody waited for. */
  const request_id_t answered = ask("held", 60000);
  expect_number("held", "0");
  assert(plugin_cancel_request(answered) == PLUGIN_E_NOT_FOUND);
}

static void test_ends_by_itself(void) {
  plugin_message_t response;
  const request_id_t id = ask("hold", 30);
  assert(plugin_wait_response(id, &response, 10000) == PLUGIN_E_TIMED_OUT);
  assert(plugin_wait_response(id, &response, 0) == PLUGIN_E_NOT_FOUND);
  expect_number("go", "0");
}

static void* wait_for_it(void* argument) {
  const request_id_t* id = argument;
  plugin_message_t response;
  const int result = plugin_wait_response(*id, &response, 60000);
  if (result == 0) plugin_message_free(&response);
  return (void*)(intptr_t)result;
}

static void* receive_a_message(void* argument) {
  plugin_message_t message;
  (void)argument;
  return (void*)(intptr_t)plugin_receive_message(&message, 300);
}

/* Two wait for answers and one for messages; others use the connection all the time. */
static void test_other_threads(void) {
  pthread_t threads[3];
  void* results[3];
  request_id_t ids[] = {ask("hold", 60000), ask("hold", 60000)};
  plugin_message_t response;
  assert(pthread_create(&threads[0], NULL, wait_for_it, &ids[0]) == 0);
  assert(pthread_create(&threads[1], NULL, wait_for_it, &ids[1]) == 0);
  assert(pthread_create(&threads[2], NULL, receive_a_message, NULL) == 0);
  for (int i = 0; i < 20; ++i) expect_number("held", "2");
  while (plugin_wait_response(ids[0], &response, 0) != PLUGIN_E_BAD_STATE) {
  }
  assert(plugin_cancel_request(ids[0]) == 0);
  assert(pthread_join(threads[0], &results[0]) == 0);
  assert((intptr_t)results[0] == PLUGIN_E_CANCELLED);
  expect_number("go", "0");
  assert(pthread_join(threads[1], &results[1]) == 0);
  assert((intptr_t)results[1] == 0);
  assert(pthread_join(threads[2], &results[2]) == 0);
  assert((intptr_t)results[2] == PLUGIN_E_TIMED_OUT);
}

static void test_bad_arguments(void) {
  plugin_message_t request;
  request_id_t id = 0;
  memset(&request, 0, sizeof request);
  assert(plugin_request(0, &request, 1000, &id) == PLUGIN_E_INVALID);
  assert(plugin_request(slow, NULL, 1000, &id) == PLUGIN_E_INVALID);
  assert(plugin_request(slow, &request, 1000, NULL) == PLUGIN_E_INVALID);
  assert(plugin_request(424242, &request, 1000, &id) == PLUGIN_E_NOT_FOUND);
  assert(plugin_wait_response(1, NULL, 0) == PLUGIN_E_INVALID);
  assert(plugin_wait_response(1, &request, 0) == PLUGIN_E_NOT_FOUND);
  assert(plugin_cancel_request(1) == PLUGIN_E_NOT_FOUND);
}

static void test_disconnecting(void) {
  pthread_t thread;
  void* result;
  plugin_message_t response;
  request_id_t id = ask("hold", 60000);
  const request_id_t forgotten = ask("hold", 60000);
  assert(pthread_create(&thread, NULL, wait_for_it, &id) == 0);
  while (plugin_wait_response(id, &response, 0) != PLUGIN_E_BAD_STATE) {
  }
  mohhos_disconnect();
  assert(pthread_join(thread, &result) == 0);
  assert((intptr_t)result == PLUGIN_E_UNREACHABLE);
  assert(plugin_wait_response(forgotten, &response, 0) == PLUGIN_E_NOT_FOUND);
}

int main(int count, char** arguments) {
  assert(count == 3);
  (void)start_plugin(arguments[2]);
  slow = start_plugin(arguments[1]);
  test_bad_arguments();
  test_waits_and_looks();
  test_takes_back();
  test_ends_by_itself();
  test_other_threads();
  /* The same from inside a plugin in C: its request to slower ends as CANCELLED. */
  expect_number("ask", "-22");
  test_disconnecting();
  return 0;
}
