#include "base/check.hpp"

#include <cstdio>
#include <cstdlib>

namespace mohhos {

void broken_invariant(const char* condition, const char* file, int line) noexcept {
  std::fprintf(stderr, "broken invariant: %s at %s:%d\n", condition, file, line);
  std::abort();
}

} // namespace mohhos
