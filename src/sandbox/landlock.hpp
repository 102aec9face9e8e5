// Landlock, the second wall around files: the same paths as the mounts, said to another part of the
// kernel. What this kernel's version of it knows is handled; what it does not know stays open, and
// the report says which version that was.
#pragma once

#include <cstdint>
#include <span>

#include "sandbox/boot.hpp"

namespace mohhos::sandbox {

// 0: there is none. [any]
[[nodiscard]] std::uint32_t landlock_abi() noexcept;

// Confines the calling thread (there must be no other) to the rules; from ABI 4 on no TCP, from 6
// on no abstract sockets and no signals beyond the domain. Needs no_new_privs. Nothing happens at
// ABI 0. [any]
[[nodiscard]] Result<> enter_landlock(std::span<const LandlockRule> rules, std::uint32_t abi);

} // namespace mohhos::sandbox
