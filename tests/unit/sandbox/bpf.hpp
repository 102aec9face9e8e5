// A small interpreter of the BPF that seccomp takes: the filter is judged without a kernel.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

#include <linux/filter.h>
#include <linux/seccomp.h>

namespace mohhos::sandbox::tests {

// The filter's verdict; nothing if the program is not one (a jump outside, an instruction that
// seccomp refuses).
[[nodiscard]] inline std::optional<std::uint32_t> run(const std::vector<sock_filter>& code,
                                                      const seccomp_data& data) {
  std::uint32_t a = 0;
  for (std::size_t pc = 0; pc < code.size(); ++pc) {
    const sock_filter& i = code[pc];
    const auto jump = [&](bool taken) { pc += taken ? i.jt : i.jf; };
    switch (i.code) {
    case BPF_LD | BPF_W | BPF_ABS:
      if (i.k % 4 != 0 || i.k + 4 > sizeof data) return std::nullopt;
      std::memcpy(&a, reinterpret_cast<const char*>(&data) + i.k, 4);
      break;
    case BPF_ALU | BPF_AND | BPF_K: a &= i.k; break;
    case BPF_JMP | BPF_JA: pc += i.k; break;
    case BPF_JMP | BPF_JEQ | BPF_K: jump(a == i.k); break;
    case BPF_JMP | BPF_JGT | BPF_K: jump(a > i.k); break;
    case BPF_JMP | BPF_JGE | BPF_K: jump(a >= i.k); break;
    case BPF_JMP | BPF_JSET | BPF_K: jump((a & i.k) != 0); break;
    case BPF_RET | BPF_K: return i.k;
    default: return std::nullopt;
    }
  }
  return std::nullopt;
}

} // namespace mohhos::sandbox::tests
