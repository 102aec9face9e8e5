// One memory, two mappings: writable here, executable there.
#include "evil.h"

static void attack(void) {
  const int fd = (int)attempt("memfd_create", syscall(SYS_memfd_create, "code", 0));
  if (fd >= 0 && ftruncate(fd, 4096) == 0) {
    attempt("map writable", mapped(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)));
    attempt("map executable", mapped(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0)));
  }
  attempt("memfd_secret", syscall(SYS_memfd_secret, 0));
  // The rings are memfds too.
  for (int ring = 3; ring < 64; ++ring) {
    if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, ring, 0) != MAP_FAILED) {
      say("SUCCEEDED mapping descriptor %d executable", ring);
    }
  }
}

EVIL_PLUGIN;
