// Stops its own process: whoever waits for it must not wait forever.
#include <signal.h>

#include "evil.h"

static void attack(void) {
  kill(getpid(), SIGSTOP);
  syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGSTOP);
  raise(SIGTSTP);
}

EVIL_PLUGIN;
