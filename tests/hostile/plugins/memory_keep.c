// Has a memory made, keeps a writable mapping of it, and sends it all the same; then without the
// mapping, with all that might still write it.
#include "memories.h"

static unsigned char* kept;
static struct memory made;

static int32_t send_it(uint64_t channel, uint64_t message) {
  return ask_to_send(channel, message, made.number);
}

static void attack(void) {
  struct ring ring;
  if (!open_ring(&ring, kNormal, 65536) || !ask_for_memory(65536, &made)) {
    say("REFUSED the channel or the memory: 0");
    return;
  }
  kept = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, made.fd, 0);
  if (kept == MAP_FAILED) {
    say("REFUSED mapping one's own: %d", errno);
    return;
  }
  memcpy(kept, "right", 6);
  attempt("resizing", ftruncate(made.fd, 0));
  attempt("growing", ftruncate(made.fd, 1L << 20));
  attempt("adding seals", fcntl(made.fd, F_ADD_SEALS, 0x10));
  attempt("executing it", mapped(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, made.fd, 0)));
  const int32_t busy = send_it(ring.channel, 1);
  errno = -busy;
  attempt("sending with a writable mapping", busy < 0 ? -1 : 0);
  munmap(kept, 65536);
  const int32_t sent = send_it(ring.channel, 1);
  if (sent < 0) say("SUCCEEDED in nothing: %d", sent); // it is right now, and must go
  attempt("mapping what was sent",
          mapped(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, made.fd, 0)));
  attempt("writing what was sent", pwrite(made.fd, "wrong", 5, 0));
  attempt("punching a hole into it",
          fallocate(made.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
  unsigned char* const read_only = mmap(NULL, 65536, PROT_READ, MAP_SHARED, made.fd, 0);
  if (read_only != MAP_FAILED) {
    attempt("mprotect", mprotect(read_only, 65536, PROT_READ | PROT_WRITE));
    attempt("MADV_REMOVE", madvise(read_only, 65536, 9));
  }
}

EVIL_PLUGIN;
