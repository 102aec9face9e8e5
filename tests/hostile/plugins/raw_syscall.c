// System calls by its own instruction: no libc that could be hooked stands between.
#include "evil.h"

static long raw(long number, long a, long b, long c, long d) {
  long result;
  register long r10 __asm__("r10") = d;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
                   : "rcx", "r11", "memory");
  if (result < 0) errno = (int)-result;
  return result < 0 ? -1 : result;
}

static void attack(void) {
  attempt("raw openat", raw(SYS_openat, AT_FDCWD, (long)"/etc/shadow", O_RDONLY, 0));
  attempt("raw socket", raw(SYS_socket, 2, 1, 0, 0));
  attempt("raw ptrace", raw(SYS_ptrace, 16, 1, 0, 0));
  attempt("raw execve", raw(SYS_execve, (long)"/bin/sh", 0, 0, 0));
  attempt("raw process_vm_readv", raw(SYS_process_vm_readv, 1, 0, 0, 0));
}

EVIL_PLUGIN;
