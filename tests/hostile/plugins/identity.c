// Becomes somebody else, gets rights back.
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>

#include "evil.h"

static void attack(void) {
  attempt("setuid 0", syscall(SYS_setuid, 0));
  attempt("setresuid 0", syscall(SYS_setresuid, 0, 0, 0));
  attempt("setgid 0", syscall(SYS_setgid, 0));
  gid_t group = 0;
  attempt("setgroups", syscall(SYS_setgroups, 1, &group));
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct all[2] = {{~0u, ~0u, ~0u}, {~0u, ~0u, ~0u}};
  attempt("capset", syscall(SYS_capset, &header, all));
  attempt("PR_CAP_AMBIENT_RAISE", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 21, 0, 0));
  if (getuid() == 0 || geteuid() == 0) say("SUCCEEDED being root");
  // An ordinary user's daemon may not drop groups: level L1 says so, and the test knows.
  if (getgroups(0, NULL) > 0) say("KEPT supplementary groups");
}

EVIL_PLUGIN;
