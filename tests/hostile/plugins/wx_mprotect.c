// Writes code, then makes it executable.
#include "evil.h"

static void attack(void) {
  unsigned char* page =
      mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  page[0] = 0xC3; // ret
  attempt("mprotect RX", mprotect(page, 4096, PROT_READ | PROT_EXEC));
  attempt("mprotect RWX", mprotect(page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC));
  attempt("pkey_mprotect RX", syscall(SYS_pkey_mprotect, page, 4096, PROT_READ | PROT_EXEC, -1));
  void* text = (void*)((uintptr_t)&attempt & ~(uintptr_t)4095);
  attempt("mprotect text RWX", mprotect(text, 4096, PROT_READ | PROT_WRITE | PROT_EXEC));
  char on_stack[16];
  void* stack = (void*)((uintptr_t)on_stack & ~(uintptr_t)4095);
  attempt("mprotect stack RWX", mprotect(stack, 4096, PROT_READ | PROT_WRITE | PROT_EXEC));
}

EVIL_PLUGIN;
