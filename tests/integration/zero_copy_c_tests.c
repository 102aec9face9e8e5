/* The C API without copies, against a plugin that sends back what it gets. argv[1]: the plugin. */
#undef NDEBUG
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mohhos/mohhos.h"
#include "start_plugin.h"

static plugin_id_t bounce;

static void fill(plugin_message_t* message, uint32_t size, int byte) {
  memset(message, 0, sizeof *message);
  message->type = MSG_PLUGIN_CUSTOM;
  message->data_size = size;
  assert(plugin_loan_message(bounce, message) == 0);
  assert((message->data != NULL || size == 0) && message->receiver == bounce);
  if (size != 0) memset(message->data, byte, size);
}

static bool is_full_of(const plugin_message_t* message, uint32_t size, int byte) {
  const unsigned char* data = message->data;
  if (message->data_size != size || message->sender != bounce) return false;
  for (uint32_t i = 0; i < size; i++)
    if (data[i] != byte) return false;
  return true;
}

static void test_there_and_back(void) {
  const uint32_t sizes[] = {1, 64, 100000, 0};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    plugin_message_t sent;
    plugin_message_t view;
    fill(&sent, sizes[i], 'a' + (int)i);
    assert(plugin_commit_message(&sent) == 0 && sent.id != 0 && sent.timestamp != 0);
    assert(sent.data == NULL);
    assert(plugin_receive_view(&view, 5000) == 0);
    assert(is_full_of(&view, sizes[i], 'a' + (int)i));
    assert(plugin_release_view(&view) == 0 && view.data == NULL);
  }
}

static void test_a_loan_ends_once(void) {
  plugin_message_t loan;
  plugin_message_t copy;
  plugin_message_t view;
  char text[] = "copied";
  plugin_message_t other = {.type = MSG_PLUGIN_CUSTOM, .data_size = 6, .data = text};
  plugin_message_t answer;
  fill(&loan, 1000, 'x');
  copy = loan;
  /* One at a time, and nothing beside it. */
  assert(plugin_loan_message(bounce, &other) == PLUGIN_E_BAD_STATE);
  assert(plugin_send_message(bounce, &other) == PLUGIN_E_BAD_STATE);
  assert(strstr(plugin_last_error(), "plugin_discard_message") != NULL);
  assert(plugin_call(bounce, &other, &answer, 1000) == PLUGIN_E_BAD_STATE);
  assert(plugin_broadcast_message(&other, PLUGIN_CUSTOM) == PLUGIN_E_BAD_STATE);
  assert(plugin_discard_message(&loan) == 0 && loan.data == NULL);
  assert(plugin_commit_message(&copy) == PLUGIN_E_NOT_FOUND);
  assert(plugin_discard_message(&copy) == PLUGIN_E_NOT_FOUND);
  /* What was given back was never sent. */
  assert(plugin_send_message(bounce, &other) == 0);
  assert(plugin_receive_view(&view, 5000) == 0);
  assert(view.data_size == 6 && memcmp(view.data, "copied", 6) == 0);
  assert(plugin_release_view(&view) == 0);

  fill(&loan, 10, 'y');
  copy = loan;
  assert(plugin_commit_message(&loan) == 0);
  assert(plugin_commit_message(&copy) == PLUGIN_E_NOT_FOUND);
  assert(plugin_receive_view(&view, 5000) == 0 && is_full_of(&view, 10, 'y'));
  assert(plugin_release_view(&view) == 0);
  assert(plugin_receive_view(&view, 0) == PLUGIN_E_TIMED_OUT);

  loan.data_size = 0x7FFFFFFF;
  assert(plugin_loan_message(bounce, &loan) == PLUGIN_E_TOO_LARGE);
  assert(plugin_loan_message(424242, &other) == PLUGIN_E_NOT_FOUND);
  assert(plugin_loan_message(0, &other) == PLUGIN_E_INVALID);
  assert(plugin_loan_message(bounce, NULL) == PLUGIN_E_INVALID);
  assert(plugin_commit_message(NULL) == PLUGIN_E_INVALID);
}

/* To take a request back is to send something: not over what is lent. */
static void test_a_request_taken_back_beside_a_loan(void) {
  char text[] = "asked";
  const plugin_message_t request = {.data_size = 5, .data = text};
  plugin_message_t loan;
  plugin_message_t view;
  request_id_t id;
  assert(plugin_request(bounce, &request, 60000, &id) == 0);
  fill(&loan, 1000, 'z');
  assert(plugin_cancel_request(id) == PLUGIN_E_BAD_STATE);
  assert(strstr(plugin_last_error(), "plugin_discard_message") != NULL);
  assert(plugin_commit_message(&loan) == 0);
  assert(plugin_receive_view(&view, 5000) == 0 && is_full_of(&view, 1000, 'z'));
  assert(plugin_release_view(&view) == 0);
  const int cancelled = plugin_cancel_request(id);
  assert(cancelled == 0 || cancelled == PLUGIN_E_NOT_FOUND); /* the answer was there already */
}

/* Released in another order than they came, and beside copies: nobody's bytes change. */
static void test_views_in_any_order(void) {
  enum { kViews = 8, kSize = 5000 };
  plugin_message_t views[kViews];
  plugin_message_t message;
  for (int i = 0; i < kViews; i++) {
    fill(&message, kSize, 'A' + i);
    assert(plugin_commit_message(&message) == 0);
    if (i % 3 == 2) { /* a copy behind views that are held */
      assert(plugin_receive_message(&views[i], 5000) == 0);
    } else {
      assert(plugin_receive_view(&views[i], 5000) == 0);
    }
  }
  for (int i = 0; i < kViews; i++) assert(is_full_of(&views[i], kSize, 'A' + i));
  for (int i = kViews - 1; i >= 0; i--) {
    for (int k = 0; k <= i; k++) assert(is_full_of(&views[k], kSize, 'A' + k));
    if (i % 3 == 2) {
      plugin_message_free(&views[i]);
      continue;
    }
    plugin_message_t again = views[i];
    assert(plugin_release_view(&views[i]) == 0);
    assert(plugin_release_view(&again) == PLUGIN_E_NOT_FOUND);
  }
  /* The room is back: more than a ring's worth goes through. */
  for (int i = 0; i < 200; i++) {
    fill(&message, kSize, i);
    assert(plugin_commit_message(&message) == 0);
    assert(plugin_receive_view(&message, 5000) == 0 && is_full_of(&message, kSize, i & 0xFF));
    assert(plugin_release_view(&message) == 0);
  }
}

/* What is held outlives the connection. */
static void test_disconnect(void) {
  plugin_message_t loan;
  plugin_message_t view;
  fill(&loan, 3000, 'v');
  assert(plugin_commit_message(&loan) == 0);
  assert(plugin_receive_view(&view, 5000) == 0);
  fill(&loan, 3000, 'l');
  mohhos_disconnect();
  memset(loan.data, 'm', 3000);
  assert(is_full_of(&view, 3000, 'v'));
  assert(plugin_commit_message(&loan) == PLUGIN_E_PEER_GONE && loan.data == NULL);
  assert(plugin_release_view(&view) == 0);
  test_there_and_back(); /* over a new connection */
}

int main(int argc, char** argv) {
  assert(argc == 2);
  bounce = start_plugin(argv[1]);
  test_there_and_back();
  test_a_loan_ends_once();
  test_a_request_taken_back_beside_a_loan();
  test_views_in_any_order();
  test_disconnect();
  assert(plugin_unload(bounce) == 0 || (plugin_stop(bounce) == 0 && plugin_unload(bounce) == 0));
  mohhos_disconnect();
  puts("the C tests without copies passed");
  return 0;
}
