// mohhos-plugin-host: one plugin's process, from exec to its end. Started by mohhosd alone
// (sandbox/spec.hpp says which descriptors it finds).
#include <cstdio>
#include <malloc.h>

#include "loader/host.hpp"
#include "loader/last_words.hpp"
#include "sandbox/enter.hpp"
#include "sandbox/spec.hpp"

int main() {
  using namespace mohhos;

  // Confinement comes first and complete. What goes wrong in there the warden has been told.
  auto boot = sandbox::enter();
  if (!boot) return 1;

  // An idle plugin should cost little: one heap, given back early.
  ::mallopt(M_ARENA_MAX, 1);
  ::mallopt(M_TRIM_THRESHOLD, 64 * 1024);
  ::mallopt(M_TOP_PAD, 16 * 1024);
  std::setvbuf(stdout, nullptr, _IOLBF, 0); // a line of log is a line, though stdout is a pipe

  loader::watch_for_death(sandbox::kFdLink);
  auto host = loader::Host::open(sys::Fd(sandbox::kFdLink), *std::move(boot), sandbox::kPluginPath);
  if (!host) loader::die(ipc::LastWordsKind::Exception, host.error().text);
  loader::leave((*host)->run());
}
