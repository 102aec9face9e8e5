// New namespaces, inside of which it would be root.
#include <sched.h>
#include <signal.h>

#include "evil.h"

static void attack(void) {
  static const struct {
    const char* name;
    int flag;
  } kFlags[] = {{"user", CLONE_NEWUSER},     {"mount", CLONE_NEWNS}, {"pid", CLONE_NEWPID},
                {"net", CLONE_NEWNET},       {"ipc", CLONE_NEWIPC},  {"uts", CLONE_NEWUTS},
                {"cgroup", CLONE_NEWCGROUP}, {"time", 0x80}};
  char text[64];
  for (size_t i = 0; i < sizeof kFlags / sizeof *kFlags; ++i) {
    snprintf(text, sizeof text, "unshare %s", kFlags[i].name);
    attempt(text, unshare(kFlags[i].flag));
    if (kFlags[i].flag == 0x80) continue; // clone() has no room for it
    snprintf(text, sizeof text, "clone %s", kFlags[i].name);
    const long child = syscall(SYS_clone, (long)kFlags[i].flag | SIGCHLD, 0, 0, 0, 0);
    if (child == 0) _exit(0);
    attempt(text, child);
  }
  uint64_t arguments[11] = {CLONE_NEWUSER, 0, 0, 0, SIGCHLD};
  const long child = syscall(SYS_clone3, arguments, sizeof arguments);
  if (child == 0) _exit(0);
  attempt("clone3 user", child);
  attempt("setns", setns(3, 0));
}

EVIL_PLUGIN;
