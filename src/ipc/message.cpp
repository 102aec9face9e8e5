#include "ipc/message.hpp"

#include <ctime>

namespace mohhos::ipc {

std::uint64_t monotonic_ns() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now); // the vDSO's: no system call
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U +
         static_cast<std::uint64_t>(now.tv_nsec);
}

} // namespace mohhos::ipc
