// A memory that rides along a message: a memfd of the manager's, which one process fills and others
// then only read.
//
// Its size is fixed when it is made. Before it is handed on its content is sealed as well, for
// good: the kernel refuses that while anybody has it mapped for writing, and makes every other way
// to write it fail afterwards. So a receiver may parse it in place; of a ring's payload, which the
// sender can still change, it must make a copy first. Rejected: F_SEAL_FUTURE_WRITE, which leaves
// the mappings that exist; and descriptors sent by plugins, which the second filter has no call
// for.
#pragma once

#include <cstdint>

#include "base/error.hpp"
#include "sys/fd.hpp"
#include "sys/mapping.hpp"

namespace mohhos::ipc {

// 0400, so that a descriptor that only reads cannot be opened again for writing. [any]
[[nodiscard]] Result<sys::Fd> make_memory(std::uint64_t bytes);

// Nobody can write it any more; once more does no harm. BadState: somebody still has it mapped for
// writing. [any]
[[nodiscard]] Result<> seal_memory(int fd);

// The maker's mapping. Untrusted: the size is another one, or can change. [any]
[[nodiscard]] Result<sys::Mapping> map_made_memory(int fd, std::uint64_t bytes);

// A receiver's mapping. Untrusted: also if the content can change. [any]
[[nodiscard]] Result<sys::Mapping> map_sealed_memory(int fd, std::uint64_t bytes);

} // namespace mohhos::ipc
