// Traces whoever it can name.
#include <sys/ptrace.h>

#include "evil.h"

static void attack(void) {
  for (int pid = 0; pid < 64; ++pid) {
    if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0) say("SUCCEEDED PTRACE_SEIZE of %d", pid);
    if (ptrace(PTRACE_ATTACH, pid, NULL, NULL) == 0) say("SUCCEEDED PTRACE_ATTACH of %d", pid);
  }
  attempt("PTRACE_SEIZE of 2", ptrace(PTRACE_SEIZE, 2, NULL, NULL));
  attempt("PTRACE_TRACEME", ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

EVIL_PLUGIN;
