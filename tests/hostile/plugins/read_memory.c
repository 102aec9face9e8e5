// Reads and writes the memory of other processes, and takes their descriptors.
#include <sys/uio.h>

#include "evil.h"

static void attack(void) {
  char here[64];
  struct iovec local = {here, sizeof here};
  struct iovec remote = {(void*)0x400000, sizeof here};
  for (int pid = 2; pid < 64; ++pid) {
    if (process_vm_readv(pid, &local, 1, &remote, 1, 0) >= 0) say("SUCCEEDED reading %d", pid);
  }
  const int self = getpid();
  remote.iov_base = here;
  attempt("process_vm_readv", process_vm_readv(self, &local, 1, &remote, 1, 0));
  attempt("process_vm_writev", process_vm_writev(self, &local, 1, &remote, 1, 0));
  attempt("/proc/self/mem", open("/proc/self/mem", O_RDWR));
  attempt("/proc/2/mem", open("/proc/2/mem", O_RDONLY));
  const long pidfd = attempt("pidfd_open", syscall(SYS_pidfd_open, self, 0));
  attempt("pidfd_getfd", syscall(SYS_pidfd_getfd, pidfd, 3, 0));
  attempt("kcmp", syscall(SYS_kcmp, self, self, 0, 3, 4));
  attempt("process_madvise", syscall(SYS_process_madvise, pidfd, &local, 1, MADV_COLD, 0));
}

EVIL_PLUGIN;
