// Has a channel each way, and does to every descriptor what would hurt the other side: truncate,
// punch holes, reopen, map writable, clear flags, add seals.
#include "evil.h"

static void each_descriptor(const char* when) {
  char text[96];
  for (int fd = 3; fd < 128; ++fd) {
    if (fcntl(fd, F_GETFD) < 0) continue;
    const int flags = fcntl(fd, F_GETFL);
    snprintf(text, sizeof text, "%s: ftruncate %d", when, fd);
    if (ftruncate(fd, 0) == 0) say("SUCCEEDED %s", text);
    if (ftruncate(fd, 1L << 30) == 0) say("SUCCEEDED %s to 1 GB", text);
    if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0) {
      say("SUCCEEDED %s: punching a hole into %d", when, fd);
    }
    if (fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == 0) say("SUCCEEDED %s: F_SETFL on %d", when, fd);
    if (fcntl(fd, F_ADD_SEALS, 0x10) == 0) say("SUCCEEDED %s: F_ADD_SEALS on %d", when, fd);
    if (fcntl(fd, F_SETOWN, 1) == 0) say("SUCCEEDED %s: F_SETOWN on %d", when, fd);
    if ((flags & O_ACCMODE) == O_RDONLY) {
      void* map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
      if (map != MAP_FAILED) say("SUCCEEDED %s: mapping the read-only %d writable", when, fd);
    }
    snprintf(text, sizeof text, "/proc/self/fd/%d", fd);
    if (open(text, O_RDWR) >= 0) say("SUCCEEDED %s: reopening %d", when, fd);
    snprintf(text, sizeof text, "/dev/fd/%d", fd);
    if (open(text, O_RDWR) >= 0) say("SUCCEEDED %s: reopening %d", when, fd);
  }
}

static mohhos_channel_t to_victim;

static void attack(void) {
  const int32_t opened =
      evil_host->open_channel(evil_host, 0, "victim", 0, 1000000000u, &to_victim);
  say("channel to victim: %d", (int)opened);
  (void)evil_host->send(evil_host, to_victim, NULL, "hello", 5);
  each_descriptor("with a channel");
  say("REFUSED everything that did not succeed: 0");
}

static int32_t evil_message(const mohhos_message_t* message) {
  // The bytes lie in the sender's memory, mapped read-only here.
  void* page = (void*)((uintptr_t)message->data & ~(uintptr_t)4095);
  attempt("mprotect the peer's ring writable", mprotect(page, 4096, PROT_READ | PROT_WRITE));
  attempt("MADV_REMOVE on the peer's ring", madvise(page, 4096, MADV_REMOVE));
  attempt("MADV_DONTFORK on the peer's ring", madvise(page, 4096, 100));
  each_descriptor("with a message");
  return answer_alive(message);
}

EVIL_PLUGIN_WITH_MESSAGES;
