// Changes the path between the check and the use.
#include <pthread.h>

#include "evil.h"

static char path[64] = "/plugin/plugin.so";
static volatile int stop;

static void* flips(void* unused) {
  (void)unused;
  while (!stop) {
    memcpy(path, "/etc/shadow\0\0\0\0\0\0", 18);
    memcpy(path, "/plugin/plugin.so", 18);
  }
  return NULL;
}

static void attack(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, flips, NULL) != 0) return;
  for (int i = 0; i < 300; ++i) {
    const int fd = open(path, O_RDONLY);
    if (fd < 0) continue;
    char start[4] = {0};
    if (read(fd, start, 4) == 4 && memcmp(start, "\177ELF", 4) != 0)
      say("SUCCEEDED reading something else");
    close(fd);
  }
  stop = 1;
  pthread_join(thread, NULL);
  say("REFUSED the other path every time: 0");
}

EVIL_PLUGIN;
