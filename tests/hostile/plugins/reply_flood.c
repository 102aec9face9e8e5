// Answers its asker's one request with answers to thousands that nobody asked, and at last with the
// right one.
#include "evil.h"

static void attack(void) {}

static int32_t evil_message(const mohhos_message_t* message) {
  if (message->correlation == 0) return 0;
  mohhos_request_t asked = {message->sender, message->correlation, message->deadline_ns};
  static const char kWrong[] = "wrong";
  for (unsigned i = 1; i <= 50000; ++i) {
    asked.correlation = message->correlation + i;
    (void)evil_host->reply(evil_host, &asked, 0, kWrong, sizeof kWrong - 1, 1000000000u);
  }
  say("REFUSED 50000 answers: 0");
  return answer_alive(message);
}

EVIL_PLUGIN_WITH_MESSAGES;
