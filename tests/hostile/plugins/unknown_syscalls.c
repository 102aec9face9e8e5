// Numbers that the filter cannot know: each must be ENOSYS, whatever a newer kernel would do.
#include "evil.h"

static void attack(void) {
  for (int number = 470; number < 1024; ++number) {
    errno = 0;
    if (syscall(number, 0, 0, 0, 0, 0, 0) >= 0 || errno != ENOSYS) {
      say("SUCCEEDED number %d got as far as errno %d", number, errno);
    }
  }
  attempt("number 470", syscall(470, 0));
  attempt("number 0x3fffffff", syscall(0x3fffffff, 0));
}

EVIL_PLUGIN;
