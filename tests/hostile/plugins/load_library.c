// Brings more code: a library of its own in /tmp, and one of the system after init.
#include <dlfcn.h>

#include "evil.h"

static void attack(void) {
  const int from = open("/plugin/plugin.so", O_RDONLY);
  const int to = open("/tmp/copy.so", O_RDWR | O_CREAT, 0700);
  char buffer[4096];
  for (ssize_t n; from >= 0 && to >= 0 && (n = read(from, buffer, sizeof buffer)) > 0;) {
    if (write(to, buffer, (size_t)n) != n) break;
  }
  attempt("dlopen of /tmp/copy.so", dlopen("/tmp/copy.so", RTLD_NOW) == NULL ? -1 : 0);
}

EVIL_PLUGIN;
