// Executable memory straight from mmap, from a file of its own, from shared memory.
#include <sys/shm.h>

#include "evil.h"

static void attack(void) {
  const int all = PROT_READ | PROT_WRITE | PROT_EXEC;
  attempt("mmap RWX", mapped(mmap(NULL, 4096, all, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)));
  attempt("mmap RX",
          mapped(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)));
  const int fd = open("/tmp/code", O_RDWR | O_CREAT, 0700);
  if (fd >= 0 && write(fd, "\xC3", 1) == 1) {
    attempt("mmap RX of a file in /tmp",
            mapped(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0)));
  }
  attempt("shmget", shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0700));
  attempt("shmat exec", mapped(shmat(0, NULL, SHM_EXEC)));
  attempt("remap_file_pages", remap_file_pages((void*)4096, 4096, 0, 0, 0));
}

EVIL_PLUGIN;
