// The doors through which kernels were broken: bpf, perf, keyrings, fanotify, modules, kexec.
#include "evil.h"

static void attack(void) {
  char zeros[256] = {0};
  attempt("bpf", syscall(SYS_bpf, 0, zeros, sizeof zeros));
  attempt("perf_event_open", syscall(SYS_perf_event_open, zeros, 0, -1, -1, 0));
  attempt("keyctl", syscall(SYS_keyctl, 0, -3, 1));
  attempt("keyctl SESSION_TO_PARENT", syscall(SYS_keyctl, 18));
  attempt("add_key", syscall(SYS_add_key, "user", "k", "v", 1, -3));
  attempt("request_key", syscall(SYS_request_key, "user", "k", NULL, -3));
  attempt("fanotify_init", syscall(SYS_fanotify_init, 0, 0));
  attempt("name_to_handle_at", syscall(SYS_name_to_handle_at, AT_FDCWD, "/", zeros, zeros, 0));
  attempt("open_by_handle_at", syscall(SYS_open_by_handle_at, 3, zeros, 0));
  attempt("acct", syscall(SYS_acct, "/tmp/acct"));
  attempt("quotactl", syscall(SYS_quotactl, 0, "/", 0, zeros));
  attempt("syslog", syscall(SYS_syslog, 3, zeros, sizeof zeros));
  attempt("modify_ldt", syscall(SYS_modify_ldt, 0, zeros, sizeof zeros));
  attempt("vmsplice", syscall(SYS_vmsplice, 3, zeros, 1, 0));
  attempt("move_pages", syscall(SYS_move_pages, 1, 0, zeros, zeros, zeros, 0));
}

EVIL_PLUGIN;
