// Makes processes without the capability.
#include <sched.h>
#include <signal.h>

#include "evil.h"

static void attack(void) {
  const long forked = syscall(SYS_fork);
  if (forked == 0) _exit(0);
  attempt("fork", forked);
  const long cloned = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
  if (cloned == 0) _exit(0);
  attempt("clone", cloned);
  uint64_t arguments[11] = {0};
  arguments[4] = SIGCHLD;
  const long cloned3 = syscall(SYS_clone3, arguments, sizeof arguments);
  if (cloned3 == 0) _exit(0);
  attempt("clone3", cloned3);
  const long parent = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
  if (parent == 0) _exit(0);
  attempt("clone CLONE_PARENT", parent);
}

EVIL_PLUGIN;
