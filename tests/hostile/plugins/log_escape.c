// Terminal escapes, control characters and broken UTF-8 in what the operator will read.
#include "evil.h"

static void attack(void) {
  static const char kOut[] = "\033[31mstdout\033[0m \xff\xfe\x80\n";
  static const char kError[] = "\xe2\x80\xae bidi\n";
  say("\033[2J\033]0;owned\007 red\r\nforged: mohhosd: all is well");
  (void)!write(1, kOut, sizeof kOut - 1);
  (void)!write(2, kError, sizeof kError - 1);
}

EVIL_PLUGIN;
