// System calls in words: number → name, and a call as strace would write it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace mohhos::sandbox {

// "openat"; "syscall_999" for a number that has no name here. x86-64. [pure]
[[nodiscard]] std::string syscall_name(int number);

// openat("/etc/shadow", O_RDONLY), socket(AF_INET, SOCK_STREAM, 0), mprotect(0x7f…, 4096,
// PROT_READ|PROT_EXEC): flags by name where the call is a usual one, numbers otherwise. `path`
// stands for the path argument. [pure]
[[nodiscard]] std::string render_call(int number, const std::array<std::uint64_t, 6>& arguments,
                                      std::string_view path);

// As a C string would be written; whatever is not printable as \x. [pure]
[[nodiscard]] std::string quote(std::string_view text);

} // namespace mohhos::sandbox
