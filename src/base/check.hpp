// A broken invariant is our own bug: say where, and die. On in release builds.
#pragma once

namespace mohhos {
[[noreturn]] void broken_invariant(const char* condition, const char* file, int line) noexcept;
} // namespace mohhos

#define CHECK(condition)                                                                           \
  do {                                                                                             \
    if (!(condition)) [[unlikely]]                                                                 \
      ::mohhos::broken_invariant(#condition, __FILE__, __LINE__);                                  \
  } while (false)
