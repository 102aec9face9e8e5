// A thread from before the second filter: it must be inside the filter like all the others.
#include <pthread.h>
#include <semaphore.h>

#include "evil.h"

static sem_t go;
static sem_t finished;

static void wait_for(sem_t* event) {
  while (sem_wait(event) < 0) {
  }
}

static void* waits(void* unused) {
  (void)unused;
  wait_for(&go);
  attempt("mmap RX in an old thread",
          mapped(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)));
  attempt("open in an old thread", open("/etc/shadow", O_RDONLY));
  attempt("memfd_create in an old thread", syscall(SYS_memfd_create, "x", 0));
  sem_post(&finished);
  return NULL;
}

__attribute__((constructor)) static void before_init(void) {
  sem_init(&go, 0, 0);
  sem_init(&finished, 0, 0);
  pthread_t thread;
  if (pthread_create(&thread, NULL, waits, NULL) == 0) pthread_detach(thread);
}

static void attack(void) {
  sem_post(&go);
  wait_for(&finished);
}

EVIL_PLUGIN;
