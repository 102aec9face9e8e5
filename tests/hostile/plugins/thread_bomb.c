// Starts threads until it cannot.
#include <pthread.h>

#include "evil.h"

static void* sleeps(void* unused) {
  (void)unused;
  for (;;) pause();
  return NULL;
}

static void attack(void) {
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 65536);
  for (int i = 0; i < 5000; ++i) {
    pthread_t thread;
    const int error = pthread_create(&thread, &small, sleeps, NULL);
    if (error != 0) {
      errno = error;
      attempt("threads", -1);
      return;
    }
  }
  say("SUCCEEDED 5000 threads");
}

EVIL_PLUGIN;
