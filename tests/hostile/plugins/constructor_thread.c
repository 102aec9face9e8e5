// A thread from before the second filter: it must be inside the filter like all the others.
#include <pthread.h>

#include "evil.h"

static volatile int go;
static volatile int finished;

static void* waits(void* unused) {
  (void)unused;
  while (!go) usleep(1000);
  attempt("mmap RX in an old thread",
          mapped(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)));
  attempt("open in an old thread", open("/etc/shadow", O_RDONLY));
  attempt("memfd_create in an old thread", syscall(SYS_memfd_create, "x", 0));
  finished = 1;
  return NULL;
}

__attribute__((constructor)) static void before_init(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, waits, NULL) == 0) pthread_detach(thread);
}

static void attack(void) {
  go = 1;
  while (!finished) usleep(1000);
}

EVIL_PLUGIN;
