// Acts before the constructors: an IFUNC resolver runs while the library is relocated.
#include "evil.h"

static long raw3(long number, long a, long b, long c) {
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c)
                   : "rcx", "r11", "memory");
  return result;
}

static volatile long opened = -1;
static volatile long connected = -1;
static int harmless(void) {
  return 0;
}
typedef int (*function)(void);

// No libc in here: nothing is bound yet.
__attribute__((used)) static function resolve(void) {
  opened = raw3(SYS_open, (long)"/etc/shadow", 0, 0);
  connected = raw3(SYS_socket, 2, 1, 0);
  return harmless;
}
int evil_indirect(void) __attribute__((ifunc("resolve")));

static void attack(void) {
  (void)evil_indirect();
  errno = (int)-opened;
  attempt("open /etc/shadow in an IFUNC resolver", opened);
  errno = (int)-connected;
  attempt("socket in an IFUNC resolver", connected);
}

EVIL_PLUGIN;
