// System calls in words: number → name, a call as strace would write it, and for a refused one the
// rule that refused it and the manifest line that would allow it (`plugctl why`).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "model/capability.hpp"
#include "model/refusal.hpp"

namespace mohhos::sandbox {

// "openat"; "syscall_999" for a number that has no name here. x86-64. [pure]
[[nodiscard]] std::string syscall_name(int number);

// openat("/etc/shadow", O_RDONLY), socket(AF_INET, SOCK_STREAM, 0), mprotect(0x7f…, 4096,
// PROT_READ|PROT_EXEC): flags by name where the call is a usual one, numbers otherwise. `path`
// stands for the path argument. [pure]
[[nodiscard]] std::string render_call(int number, const std::array<std::uint64_t, 6>& arguments,
                                      std::string_view path);

struct Explanation {
  std::string rule; // why it was refused: "filesystem: the path is not granted"
  std::string hint; // what would allow it, or that nothing does
};
// `plugin` is named in the hint; `granted` is what the plugin has. [pure]
[[nodiscard]] Explanation explain(const model::Refusal& refusal, std::string_view plugin,
                                  model::CapabilitySet granted);

// Fills call, rule and hint. [pure]
void put_into_words(model::Refusal& refusal, std::string_view plugin, model::CapabilitySet granted);

} // namespace mohhos::sandbox
