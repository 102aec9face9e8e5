/* A program that talks to a plugin, and spoils every bell that it holds meanwhile: clears
 * O_NONBLOCK, fills, drains, over and over. The plugin must go on; argv[1]: it. Says "survived" at
 * the end. */
#define _GNU_SOURCE
#undef NDEBUG
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mohhos/mohhos.h"
#include "start_plugin.h"

enum { ROUNDS = 400 };

static atomic_bool done;
static atomic_ulong filled;
static atomic_ulong ears; /* that took no write */
static sem_t spoilt;      /* each time that it spoilt them all */

/* Every bell that this process holds, and every ear of one: eventfds and epolls. */
static void for_each_bell(void (*what)(int fd)) {
  DIR* all = opendir("/proc/self/fd");
  assert(all != NULL);
  for (struct dirent* entry; (entry = readdir(all)) != NULL;) {
    char path[300];
    char target[64] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
    if (readlink(path, target, sizeof target - 1) < 0) continue;
    if (strstr(target, "[eventfd]") != NULL || strstr(target, "[eventpoll]") != NULL)
      what(atoi(entry->d_name));
  }
  closedir(all);
}

/* Bare system calls: that they race with the library is what they are for, and ThreadSanitizer need
 * not know. */
static void spoil(int fd) {
  const uint64_t most = UINT64_MAX - 1;
  uint64_t count = 0;
  (void)syscall(SYS_fcntl, fd, F_SETFL, O_NONBLOCK);
  (void)syscall(SYS_read, fd, &count, sizeof count);
  if (syscall(SYS_write, fd, &most, sizeof most) < 0) {
    ++ears;
    return;
  }
  (void)syscall(SYS_fcntl, fd, F_SETFL, 0); /* the next write blocks, whoever makes it */
  ++filled;
}

/* So that this process itself is not what hangs. */
static void mend(int fd) {
  uint64_t count = 0;
  (void)syscall(SYS_fcntl, fd, F_SETFL, O_NONBLOCK);
  (void)syscall(SYS_read, fd, &count, sizeof count);
}

static void* spoil_all(void* unused) {
  (void)unused;
  while (!atomic_load(&done)) {
    for_each_bell(spoil);
    (void)sem_post(&spoilt);
    (void)poll(NULL, 0, 1);
    for_each_bell(mend);
  }
  return NULL;
}

int main(int argc, char** argv) {
  pthread_t spoiler;
  char text[] = "spoil me";
  assert(argc == 2);
  const plugin_id_t bounce = start_plugin(argv[1]);
  plugin_message_t first = {.type = MSG_PLUGIN_CUSTOM, .data_size = sizeof text, .data = text};
  plugin_message_t view;
  assert(plugin_send_message(bounce, &first) == 0 && plugin_receive_view(&view, 5000) == 0);
  assert(plugin_release_view(&view) == 0);
  assert(sem_init(&spoilt, 0, 0) == 0);
  assert(pthread_create(&spoiler, NULL, spoil_all, NULL) == 0);
  while (sem_wait(&spoilt) != 0) {
  }
  for (int i = 0; i < ROUNDS; ++i) {
    plugin_message_t message = {.type = MSG_PLUGIN_CUSTOM, .data_size = sizeof text, .data = text};
    assert(plugin_send_message(bounce, &message) == 0);
    /* The answer comes, whether its bell was heard or drained by us. */
    int got = -1;
    for (int patience = 0; patience < 1000 && got != 0; ++patience)
      got = plugin_receive_view(&view, 10);
    assert(got == 0 && view.data_size == sizeof text);
    assert(plugin_release_view(&view) == 0);
  }
  atomic_store(&done, true);
  assert(pthread_join(spoiler, NULL) == 0);
  printf("survived: %lu bells filled, %lu ears\n", atomic_load(&filled), atomic_load(&ears));
  assert(atomic_load(&filled) > 0 && atomic_load(&ears) > 0);
  return 0;
}
