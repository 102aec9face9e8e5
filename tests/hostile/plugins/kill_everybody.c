// Signals to all that it can name.
#include <signal.h>

#include "evil.h"

static void attack(void) {
  static const int kTargets[] = {-1, 0, 2, 3, 100, 1000};
  signal(SIGTERM, SIG_IGN);
  for (size_t i = 0; i < sizeof kTargets / sizeof *kTargets; ++i) (void)kill(kTargets[i], SIGTERM);
  for (int pid = 2; pid < 200; ++pid) {
    if (kill(pid, 0) == 0) say("SUCCEEDED finding process %d", pid);
  }
  const long parent = getppid();
  if (parent != 0) say("SUCCEEDED seeing a parent: %ld", parent);
  say("REFUSED finding anybody: %d", ESRCH);
}

EVIL_PLUGIN;
