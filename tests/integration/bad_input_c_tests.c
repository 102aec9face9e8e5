/* What a program can do wrong with messages: a typed error each, with a sentence that says what and
 * which, nothing of it sent, and everything goes on. argv: the plugins bounce, plain,
 * counter_closed and other_abi. */
#undef NDEBUG
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mohhos/mohhos.h"
#include "start_plugin.h"

static plugin_id_t bounce, plain, closed;

static void expect(int line, int result, int error, const char* words) {
  if (result == error && strstr(plugin_last_error(), words) != NULL) return;
  fprintf(stderr, "line %d: %d and '%s', not %d and '%s'\n", line, result, plugin_last_error(),
          error, words);
  abort();
}
#define EXPECT(result, error, words) expect(__LINE__, (result), (error), (words))

static plugin_message_t text_message(const char* text) {
  plugin_message_t message = {
      .type = MSG_PLUGIN_CUSTOM, .data_size = (uint32_t)strlen(text), .data = (void*)text};
  return message;
}

/* What is sent now comes back, and nothing before it. */
static void expect_alive(const char* text) {
  plugin_message_t message = text_message(text);
  plugin_message_t back;
  assert(plugin_send_message(bounce, &message) == 0);
  assert(plugin_receive_message(&back, 10000) == 0);
  assert(back.data_size == strlen(text) && memcmp(back.data, text, strlen(text)) == 0);
  plugin_message_free(&back);
}

static void test_larger_than_the_ring(void) {
  const size_t size = 8 << 20;
  char* bytes = calloc(size, 1);
  request_id_t id = 0;
  plugin_message_t answer;
  assert(bytes != NULL);
  plugin_message_t message = {
      .type = MSG_PLUGIN_CUSTOM, .data_size = (uint32_t)size, .data = bytes};
  EXPECT(plugin_send_message(bounce, &message), PLUGIN_E_TOO_LARGE, "8388608");
  EXPECT(plugin_send_durable(bounce, &message), PLUGIN_E_TOO_LARGE, "8388608");
  EXPECT(plugin_call(bounce, &message, &answer, 1000), PLUGIN_E_TOO_LARGE, "8388608");
  EXPECT(plugin_request(bounce, &message, 1000, &id), PLUGIN_E_TOO_LARGE, "8388608");
  message.data = NULL;
  EXPECT(plugin_loan_message(bounce, &message), PLUGIN_E_TOO_LARGE, "8388608");
  EXPECT(plugin_send_message(bounce, &message), PLUGIN_E_INVALID, "NULL");
  free(bytes);
  expect_alive("after what was too large");
}

static void test_a_loan_that_is_never_sent(void) {
  plugin_message_t loan = {.type = MSG_PLUGIN_CUSTOM, .data_size = 100};
  plugin_message_t message = text_message("too early");
  assert(plugin_loan_message(bounce, &loan) == 0);
  memset(loan.data, '!', 100);
  EXPECT(plugin_send_message(bounce, &message), PLUGIN_E_BAD_STATE, "plugin_discard_message");
  EXPECT(plugin_loan_message(bounce, &message), PLUGIN_E_BAD_STATE, "plugin_discard_message");
  assert(plugin_discard_message(&loan) == 0);
  EXPECT(plugin_commit_message(&loan), PLUGIN_E_NOT_FOUND, "no loan");
  expect_alive("after a loan");
  assert(plugin_loan_message(bounce, &loan) == 0); /* and one that ends with its connection */
  mohhos_disconnect();
  EXPECT(plugin_commit_message(&loan), PLUGIN_E_PEER_GONE, "loan");
  expect_alive("over another connection");
}

static void test_a_view_after_its_release(void) {
  plugin_message_t message = text_message("seen");
  plugin_message_t view, kept;
  plugin_memory_t memory;
  assert(plugin_send_message(bounce, &message) == 0);
  assert(plugin_receive_view(&view, 10000) == 0);
  kept = view;
  assert(plugin_release_view(&view) == 0 && view.data == NULL);
  EXPECT(plugin_release_view(&kept), PLUGIN_E_NOT_FOUND, "released already");
  EXPECT(plugin_take_memory(&kept, &memory), PLUGIN_E_NOT_FOUND, "released already");
  expect_alive("after a view");
}

static void test_a_call_to_oneself(void) {
  plugin_message_t message = text_message("who am I");
  plugin_message_t answer;
  request_id_t id = 0;
  assert(plugin_send_message(bounce, &message) == 0);
  const plugin_id_t own = message.sender;
  assert(own != 0 && plugin_receive_message(&answer, 10000) == 0);
  plugin_message_free(&answer);
  EXPECT(plugin_call(own, &message, &answer, 1000), PLUGIN_E_INVALID, "itself");
  EXPECT(plugin_request(own, &message, 1000, &id), PLUGIN_E_INVALID, "itself");
  EXPECT(plugin_send_message(own, &message), PLUGIN_E_INVALID, "itself");
  expect_alive("after a call to oneself");
}

static void test_unknown_numbers(void) {
  plugin_message_t message = text_message("odd");
  message.type = (message_type_t)99;
  EXPECT(plugin_send_message(bounce, &message), PLUGIN_E_INVALID, "99");
  EXPECT(plugin_loan_message(bounce, &message), PLUGIN_E_INVALID, "99");
  message = text_message("odd");
  message.priority = (priority_t)-77;
  EXPECT(plugin_send_message(bounce, &message), PLUGIN_E_INVALID, "-77");
  message = text_message("odd");
  EXPECT(plugin_broadcast_message(&message, (plugin_type_t)1000), PLUGIN_E_INVALID, "1000");
  EXPECT(security_check_capability(bounce, (capability_t)77), PLUGIN_E_INVALID, "77");
  expect_alive("after odd numbers");
}

static void test_unknown_events(void) {
  event_type_t known = 1, unknown = 4711;
  EXPECT(plugin_subscribe_events(0, &unknown, 1), PLUGIN_E_NOT_FOUND, "4711");
  EXPECT(plugin_subscribe_events(plain, &unknown, 1), PLUGIN_E_NOT_FOUND, "4711");
  EXPECT(plugin_subscribe_events(424242, &known, 1), PLUGIN_E_NOT_FOUND, "424242");
  EXPECT(plugin_subscribe_events(0, NULL, 1), PLUGIN_E_INVALID, "event");
  assert(plugin_subscribe_events(plain, &known, 1) == 0);
}

static void test_without_the_right(void) {
  plugin_message_t message = text_message("12345678");
  plugin_message_t answer;
  plugin_memory_t memory;
  request_id_t id = 0;
  EXPECT(plugin_send_message(closed, &message), PLUGIN_E_DENIED, "receive_from");
  EXPECT(plugin_send_durable(closed, &message), PLUGIN_E_DENIED, "receive_from");
  EXPECT(plugin_call(closed, &message, &answer, 1000), PLUGIN_E_DENIED, "receive_from");
  EXPECT(plugin_request(closed, &message, 1000, &id), PLUGIN_E_DENIED, "receive_from");
  EXPECT(plugin_loan_message(closed, &message), PLUGIN_E_DENIED, "receive_from");
  message = text_message("12345678");
  assert(plugin_make_memory(&memory, 4096) == 0);
  EXPECT(plugin_send_memory(closed, &message, &memory), PLUGIN_E_DENIED, "receive_from");
  assert(plugin_drop_memory(&memory) == 0);
  expect_alive("after what is not allowed");
}

static void test_another_abi(const char* file) {
  plugin_descriptor_t* plugin = NULL;
  EXPECT(plugin_load(file, &plugin), PLUGIN_E_INCOMPATIBLE, "ABI");
  assert(plugin == NULL);
}

int main(int argc, char** argv) {
  assert(argc == 5);
  bounce = start_plugin(argv[1]);
  plain = start_plugin(argv[2]);
  closed = start_plugin(argv[3]);
  test_larger_than_the_ring();
  test_a_loan_that_is_never_sent();
  test_a_view_after_its_release();
  test_a_call_to_oneself();
  test_unknown_numbers();
  test_unknown_events();
  test_without_the_right();
  test_another_abi(argv[4]);
  mohhos_disconnect();
  puts("the C tests of bad input passed");
  return 0;
}
