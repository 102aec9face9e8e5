// How much of a shared memory lies in huge pages: what is in force, whoever asked for it.
//
// Nothing else says so of one memory: madvise() answers 0 to a wish that is never granted, and
// control groups count for all their memories together. So it is mapped here for a moment,
// read-only, one page of each huge one that has content is entered into the page table, and the
// kernel is asked what it made of that (ShmemPmdMapped in /proc/self/smaps). Not a byte is read, so
// nothing that the memory's owner does meanwhile is felt here, and no page is made where none was.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/error.hpp"

namespace mohhos::sys {

inline constexpr std::uint64_t kHugePage = std::uint64_t{2} << 20;

// Bytes of each of these memfds, whose size is sealed; in their order. Unsupported: this kernel
// does not tell (before 5.14). Failed: no /proc, or no addresses. [any]
[[nodiscard]] Result<std::vector<std::uint64_t>> huge_page_bytes(std::span<const int> memfds);

} // namespace mohhos::sys
