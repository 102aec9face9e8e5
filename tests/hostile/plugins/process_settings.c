// prctl, personality, priorities and limits of its own process.
#include <sched.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "evil.h"

static void attack(void) {
  attempt("personality READ_IMPLIES_EXEC", personality(READ_IMPLIES_EXEC));
  attempt("personality ADDR_NO_RANDOMIZE", personality(ADDR_NO_RANDOMIZE));
  attempt("PR_SET_MM", prctl(PR_SET_MM, PR_SET_MM_BRK, 4096, 0, 0));
  attempt("PR_SET_PTRACER", prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0));
  attempt("PR_SET_DUMPABLE", prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
  attempt("PR_SET_NO_NEW_PRIVS 0", prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
  attempt("PR_SET_SECCOMP", prctl(PR_SET_SECCOMP, 2, NULL, 0, 0));
  attempt("seccomp", syscall(SYS_seccomp, 1, 0, NULL));
  attempt("seccomp notification sizes", syscall(SYS_seccomp, 3, 0, NULL));
  struct sched_param realtime = {.sched_priority = 10};
  attempt("sched_setscheduler", syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &realtime));
  attempt("setpriority", setpriority(PRIO_PROCESS, 0, -10));
  struct rlimit more = {RLIM_INFINITY, RLIM_INFINITY};
  attempt("setrlimit NOFILE", setrlimit(RLIMIT_NOFILE, &more));
  attempt("prlimit of init", syscall(SYS_prlimit64, 2, RLIMIT_CORE, &more, NULL));
  attempt("setrlimit CORE", setrlimit(RLIMIT_CORE, &more));
}

EVIL_PLUGIN;
