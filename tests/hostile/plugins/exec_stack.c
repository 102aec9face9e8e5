// Linked with an executable stack: loading it would make the host's stack executable.
#include "evil.h"

static void attack(void) {
  unsigned char code[16] = {0xC3};
  void (*function)(void) = NULL;
  const void* address = code;
  memcpy(&function, &address, sizeof function);
  function();
  say("SUCCEEDED running code on the stack");
}

EVIL_PLUGIN;
