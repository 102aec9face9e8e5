// Asks for a lane of copies, as if it were an operator who may record.
#include "link.h"

static void attack(void) {
  enum { kTap = 6 };
  struct ring ring;
  attempt("a lane of copies to the victim", open_ring(&ring, kTap, 65536) ? 0 : -1);
}

EVIL_PLUGIN;
