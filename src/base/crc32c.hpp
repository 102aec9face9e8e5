// CRC-32C (Castagnoli), as iSCSI, ext4 and Btrfs have it: finds every burst of up to 32 wrong bits
// in what it covers. Against accidents, not against an enemy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace mohhos {

// Of `bytes`, or of what goes on where an earlier one ended: crc32c(b, crc32c(a)) is that of both.
// [pure]
[[nodiscard]] std::uint32_t crc32c(std::span<const std::byte> bytes,
                                   std::uint32_t before = 0) noexcept;

} // namespace mohhos
