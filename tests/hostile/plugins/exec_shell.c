// Replaces itself: exec of a shell, of the host, of itself by descriptor.
#include "evil.h"

static void attack(void) {
  char* arguments[] = {(char*)"sh", (char*)"-c", (char*)"echo SUCCEEDED", NULL};
  char* environment[] = {NULL};
  attempt("execve /bin/sh", execve("/bin/sh", arguments, environment));
  attempt("execve /usr/bin/sh", execve("/usr/bin/sh", arguments, environment));
  attempt("execve the dynamic linker",
          execve("/lib64/ld-linux-x86-64.so.2", arguments, environment));
  const int fd = open("/plugin/plugin.so", O_RDONLY);
  attempt("execveat", syscall(SYS_execveat, fd, "", arguments, environment, AT_EMPTY_PATH));
}

EVIL_PLUGIN;
