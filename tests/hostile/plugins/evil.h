// What every evil plugin shares: it reports each attempt as a log line, "REFUSED what: errno" or
// "SUCCEEDED what", says "ATTACK DONE" when it is through, and goes on living: it answers any
// request with "alive". The test reads the lines, holds them against the verdict of its table, and
// looks at the daemon.
//
// A file defines `static void attack(void)` and ends with EVIL_PLUGIN(...). What happens before
// init (in a constructor) is noted with early() and reported later.
#ifndef EVIL_H
#define EVIL_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include "mohhos/abi.h"

#define UNUSED __attribute__((unused))

static const mohhos_host_t* evil_host;
static char evil_early[4096];

UNUSED static void say(const char* format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  evil_host->log(evil_host, MOHHOS_LOG_INFO, line);
}

// result < 0: the kernel said no (errno tells why).
UNUSED static long attempt(const char* what, long result) {
  const int error = errno;
  if (result < 0) {
    say("REFUSED %s: %d", what, error);
  } else {
    say("SUCCEEDED %s", what);
  }
  errno = error;
  return result;
}

// The same before there is a host to say it to.
UNUSED static long early(const char* what, long result) {
  const int error = errno;
  const size_t used = strlen(evil_early);
  if (result < 0) {
    snprintf(evil_early + used, sizeof evil_early - used, "REFUSED %s: %d\n", what, error);
  } else {
    snprintf(evil_early + used, sizeof evil_early - used, "SUCCEEDED %s\n", what);
  }
  return result;
}

UNUSED static long mapped(void* address) {
  return address == MAP_FAILED ? -1 : 0;
}

#ifndef EVIL_BYSTANDER
static void attack(void);
UNUSED static int32_t evil_message(const mohhos_message_t* message);

static void* evil_create(const mohhos_host_t* host) {
  evil_host = host;
  return &evil_host;
}

static int32_t evil_start(void* self) {
  (void)self;
  char* rest = evil_early;
  for (char* line; (line = strsep(&rest, "\n")) != NULL;) {
    if (*line != '\0') say("%s", line);
  }
  attack();
  say("ATTACK DONE");
  return 0;
}

UNUSED static int32_t answer_alive(const mohhos_message_t* message) {
  if (message->correlation == 0) return 0;
  static const char kAlive[] = "alive";
  const mohhos_request_t asked = {message->sender, message->correlation, message->deadline_ns};
  (void)evil_host->reply(evil_host, &asked, 0, kAlive, sizeof kAlive - 1, 1000000000u);
  return 0;
}

static int32_t evil_on_message(void* self, const mohhos_message_t* message) {
  (void)self;
  return evil_message(message);
}

#define EVIL_FUNCTIONS                                                                             \
  .struct_size = sizeof(mohhos_plugin_t), .abi_version = MOHHOS_ABI_VERSION,                       \
  .create = evil_create, .on_start = evil_start, .on_message = evil_on_message

#define EVIL_ANSWERS                                                                               \
  static int32_t evil_message(const mohhos_message_t* message) {                                   \
    return answer_alive(message);                                                                  \
  }

// The file defines evil_message() itself.
#define EVIL_PLUGIN_WITH_MESSAGES const mohhos_plugin_t mohhos_plugin = {EVIL_FUNCTIONS}
// The file defines `static int32_t work(void* self)`, for wake() and wake_after().
#define EVIL_PLUGIN_WITH_WORK                                                                      \
  EVIL_ANSWERS const mohhos_plugin_t mohhos_plugin = {EVIL_FUNCTIONS, .on_work = work}
#define EVIL_PLUGIN EVIL_ANSWERS EVIL_PLUGIN_WITH_MESSAGES

#endif // EVIL_BYSTANDER

#endif
