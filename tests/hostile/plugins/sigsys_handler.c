// Takes the handler of refused calls away from the host: the calls must stay refused.
#include <signal.h>
#include <sys/socket.h>

#include "evil.h"

static void ignore(int signal) {
  (void)signal;
}

static void attack(void) {
  struct sigaction action = {0};
  action.sa_handler = ignore;
  (void)sigaction(SIGSYS, &action, NULL);
  say("REFUSED nothing yet: 0");
  const long fd = syscall(SYS_memfd_create, "code", 0);
  // A trapped call returns whatever the register held: only a descriptor that works is a success.
  if (fd > 2 && fcntl((int)fd, F_GETFD) >= 0 && ftruncate((int)fd, 4096) == 0)
    say("SUCCEEDED memfd_create");
  char* page = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page != MAP_FAILED && (long)page != SYS_mmap) say("SUCCEEDED mmap RX");
}

EVIL_PLUGIN;
