// A seccomp program under construction: rules into libseccomp, the program out as bytes. Private to
// the library.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <linux/filter.h>
#include <seccomp.h>

#include "base/error.hpp"

namespace mohhos::sandbox {

// (argument & mask) == value. Arguments that the kernel takes as 32 bits are masked to 32 bits:
// what stands in the upper half means nothing to it and must mean nothing to us (CVE-2019-7303).
struct Condition {
  std::uint8_t argument = 0;
  std::uint64_t mask = 0;
  std::uint64_t value = 0;
};
constexpr Condition equals32(std::uint8_t argument, std::uint32_t value) {
  return {argument, 0xFFFFFFFFU, value};
}
constexpr Condition is_null(std::uint8_t argument) {
  return {argument, ~std::uint64_t{0}, 0};
}
constexpr Condition lacks(std::uint8_t argument, std::uint64_t bits) {
  return {argument, bits, 0};
}

class Program {
public:
  // For calls that no rule fits. [any]
  [[nodiscard]] static Result<Program> open(std::uint32_t default_action);

  // All conditions hold (one per argument at most) → action. Rules of one call add up. [any]
  [[nodiscard]] Result<> add(std::uint32_t action, int number,
                             std::span<const Condition> conditions = {});

  // The program. With the prelude: another architecture and the x32 bit kill, numbers beyond the
  // last known and those of no call are ENOSYS, before any rule is asked. [any]
  enum class Prelude : bool { Without, With };
  [[nodiscard]] Result<std::vector<sock_filter>> finish(Prelude prelude) &&;

private:
  struct Release {
    void operator()(void* context) const noexcept { seccomp_release(context); }
  };
  explicit Program(void* context) : context_(context) {}
  std::unique_ptr<void, Release> context_;
};

} // namespace mohhos::sandbox
