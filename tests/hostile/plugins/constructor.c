// Acts before anybody called it: constructors run inside dlopen.
#include <sys/socket.h>

#include "evil.h"

__attribute__((constructor)) static void before_init(void) {
  early("open /etc/shadow in a constructor", open("/etc/shadow", O_RDONLY));
  early("socket in a constructor", socket(AF_INET, SOCK_STREAM, 0));
  const long forked = syscall(SYS_fork);
  if (forked == 0) _exit(0);
  early("fork in a constructor", forked);
  early("mmap RWX in a constructor", mapped(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                                                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)));
  char* arguments[] = {(char*)"sh", NULL};
  early("exec in a constructor", execve("/bin/sh", arguments, arguments + 1));
  early("ptrace in a constructor", syscall(SYS_ptrace, 0, 0, 0, 0));
}

static void attack(void) {}

EVIL_PLUGIN;
