// Keeps requests ("hold") unanswered until it is told to answer them ("go"), or they are taken
// back. "held" answers how many there are, "cancelled" how many were taken back. "ask" has the
// plugin slower hold a request, takes it back, and answers how that ended.
#include <stdio.h>
#include <string.h>

#include "mohhos/abi.h"

enum { kMost = 8 };

static const mohhos_host_t* host;
static mohhos_request_t held[kMost];
static unsigned holds, cancelled;
static mohhos_request_t who_asked;

static int32_t answer(const mohhos_request_t* request, const char* text) {
  return host->reply(host, request, MOHHOS_OK, text, strlen(text), 1000000000u);
}

static int32_t answer_number(const mohhos_request_t* request, long number) {
  char text[24];
  snprintf(text, sizeof text, "%ld", number);
  return answer(request, text);
}

static int32_t ended(void* user, int32_t status, const mohhos_message_t* reply) {
  (void)user;
  (void)reply;
  return answer_number(&who_asked, status);
}

static int32_t ask(void) {
  static const char kHold[] = "hold";
  mohhos_channel_t channel = 0;
  int32_t result = host->open_channel(host, 0, "slower", 0, 1000000000u, &channel);
  if (result < 0) return result;
  result = host->request(host, channel, NULL, kHold, sizeof kHold - 1, 60000000000u, ended, NULL);
  if (result < 0) return result;
  const int32_t request = result;
  result = host->cancel(host, request);
  if (result < 0) return result;
  return host->cancel(host, request) == MOHHOS_E_NOT_FOUND ? MOHHOS_OK : MOHHOS_E_FAILED;
}

static int32_t on_message(void* self, const mohhos_message_t* message) {
  (void)self;
  const mohhos_request_t request = {message->sender, message->correlation, message->deadline_ns};
  char word[16] = {0};
  if (request.correlation == 0 || message->size >= sizeof word) return MOHHOS_OK;
  memcpy(word, message->data, message->size);
  if (strcmp(word, "hold") == 0 && holds < kMost) {
    held[holds++] = request;
    return MOHHOS_OK;
  }
  if (strcmp(word, "go") == 0) {
    for (unsigned i = 0; i < holds; ++i) (void)answer(&held[i], "late");
    holds = 0;
  }
  if (strcmp(word, "ask") == 0) {
    who_asked = request;
    return ask();
  }
  return answer_number(&request, strcmp(word, "cancelled") == 0 ? cancelled : holds);
}

static int32_t on_cancel(void* self, const mohhos_request_t* request) {
  (void)self;
  for (unsigned i = 0; i < holds; ++i) {
    if (held[i].sender != request->sender || held[i].correlation != request->correlation) continue;
    held[i] = held[--holds];
    ++cancelled;
    break;
  }
  return MOHHOS_OK;
}

static void* create(const mohhos_host_t* the_host) {
  host = the_host;
  return &held;
}

const mohhos_plugin_t mohhos_plugin = {
    .struct_size = sizeof(mohhos_plugin_t),
    .abi_version = MOHHOS_ABI_VERSION,
    .create = create,
    .on_message = on_message,
    .on_cancel = on_cancel,
};
