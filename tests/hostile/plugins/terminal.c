// Types into the operator's terminal.
#include <sys/ioctl.h>

#include "evil.h"

static void attack(void) {
  char command = '\n';
  for (int fd = 0; fd < 8; ++fd) {
    if (ioctl(fd, TIOCSTI, &command) == 0) say("SUCCEEDED TIOCSTI on %d", fd);
    if (syscall(SYS_ioctl, fd, (1UL << 32) | TIOCSTI, &command) == 0)
      say("SUCCEEDED TIOCSTI|1<<32");
    if (ioctl(fd, 0x541C, "\x02") == 0) say("SUCCEEDED TIOCLINUX on %d", fd);
  }
  attempt("TIOCSTI", ioctl(0, TIOCSTI, &command));
  attempt("TIOCSCTTY", ioctl(0, TIOCSCTTY, 1));
  attempt("/dev/tty", open("/dev/tty", O_RDWR));
  attempt("/dev/ptmx", open("/dev/ptmx", O_RDWR));
}

EVIL_PLUGIN;
