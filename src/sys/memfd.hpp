// Sealed memory: what has all of kSealedForever can never change again, whoever holds it.
#pragma once

#include <cstddef>
#include <span>

#include <fcntl.h>

#include "base/units.hpp"
#include "sys/fd.hpp"

namespace mohhos::sys {

// Content that nobody can change: write, shrink, grow and the seals themselves.
inline constexpr int kSealedContent = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
// Size that nobody can change (rings: the owner goes on writing).
inline constexpr int kSealedSize = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

// An empty memfd that allows sealing, close-on-exec, never executable where the kernel can say so,
// and fchmod'ed to `mode` (a memfd is born 0777 and could be reopened for writing through /proc).
// [any]
[[nodiscard]] Result<Fd> make_memfd(const char* name, mode_t mode = 0400);

// A memfd with a copy of these bytes, all seals set. [any]
[[nodiscard]] Result<Fd> make_sealed(const char* name, std::span<const std::byte> bytes);

// At most `limit` bytes of a regular file, copied into a sealed memfd; TooLarge before anything is
// copied when the file says it is larger, and while copying when it lied. [any]
[[nodiscard]] Result<Fd> seal_file(int file_fd, const char* name, Bytes limit);

// Adds seals; F_SEAL_WRITE fails (Refused) while a writable mapping exists anywhere. [any]
[[nodiscard]] Result<> add_seals(int fd, int seals);

// Another description of the same memory, for reading only. Needs /proc/self/fd. [any]
[[nodiscard]] Result<Fd> reopen_read_only(int fd);

// Whether fd is a memfd with at least these seals; its size. Anything else is Untrusted. For memory
// that came from somebody else: check before mapping, or a truncation becomes our SIGBUS. [any]
[[nodiscard]] Result<Bytes> verify_seals(int fd, int seals);

} // namespace mohhos::sys
