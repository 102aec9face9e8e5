// Second descriptors, close-on-exec, of descriptors that somebody else owns.
#pragma once

#include <span>
#include <vector>

#include "base/error.hpp"
#include "sys/fd.hpp"

namespace mohhos::sys {

[[nodiscard]] Result<Fd> duplicate(int fd);                                    // [any]
[[nodiscard]] Result<std::vector<Fd>> duplicate_all(std::span<const int> fds); // [any]

} // namespace mohhos::sys
