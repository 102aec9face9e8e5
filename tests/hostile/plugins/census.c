// Looks around: everything it finds that it should not have is a success.
#include <dirent.h>
#include <sys/stat.h>

#include "evil.h"

extern char** environ;

static void attack(void) {
  for (char** entry = environ; entry != NULL && *entry != NULL; ++entry) {
    if (strncmp(*entry, "PATH=", 5) != 0 && strncmp(*entry, "LANG=", 5) != 0 &&
        strncmp(*entry, "HOME=", 5) != 0 && strncmp(*entry, "TZ=", 3) != 0 &&
        strncmp(*entry, "LC_", 3) != 0 && strncmp(*entry, "MOHHOS", 6) != 0 &&
        strncmp(*entry, "TMPDIR=", 7) != 0) {
      say("SUCCEEDED finding in the environment: %s", *entry);
    }
  }
  for (int fd = 0; fd < 4096; ++fd) {
    struct stat status;
    if (fstat(fd, &status) != 0) continue;
    if (S_ISDIR(status.st_mode) || S_ISBLK(status.st_mode))
      say("SUCCEEDED having a directory or disk at %d", fd);
    if (S_ISREG(status.st_mode) && (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY && fd < 6) {
      say("SUCCEEDED having a writable file at %d", fd);
    }
  }
  char where[256];
  if (getcwd(where, sizeof where) == NULL || where[0] != '/')
    say("SUCCEEDED being outside of the root");
  if (getsid(0) != getpid()) say("SUCCEEDED being in somebody's session");
  if (access("/proc/self", F_OK) == 0) say("SUCCEEDED seeing /proc");
  if (access("/sys/kernel", F_OK) == 0) say("SUCCEEDED seeing /sys");
  if (access("/etc/shadow", F_OK) == 0) say("SUCCEEDED seeing /etc/shadow");
  if (access("/home", F_OK) == 0) say("SUCCEEDED seeing /home");
  if (mkdir("/x", 0700) == 0) say("SUCCEEDED writing the root");
  say("REFUSED whatever was not found: 0");
}

EVIL_PLUGIN;
