// Why a plugin ended, as one sentence from everything that is known about it: how the process went,
// what it said last, what was asked of it, and whether it was us.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mohhos::manager {

enum class LastWordsKind : unsigned char {
  Exception = 1,
  Abort = 2,
  Exit = 3,
  Signal = 4
}; // as ipc/link.hpp has it

struct LastWords {
  LastWordsKind kind{};
  int value = 0;    // exit status or signal
  std::string text; // of the exception
};

struct Death {
  std::string decided{};            // why we ended it; empty: we did not
  std::optional<LastWords> words{}; // what the process said itself; a hostile one may lie here
  std::string link{};               // what was wrong on its link; empty: nothing
  std::string_view doing{}; // "on_init", "on_start", …: the call it had not answered; empty: none
  bool exit_known = true;   // false: it ended while no manager was there to hear how
  bool signaled = false;
  int value = 0;                   // exit status or signal
  std::uint32_t out_of_memory = 0; // kills by its own memory limit
  std::uint64_t memory_limit_mb = 0;
};

// One sentence without the plugin's name and without a full stop. [pure]
[[nodiscard]] std::string cause_of(const Death& death);

// "SIGSEGV", "signal 77". [pure]
[[nodiscard]] std::string signal_name(int signal);

} // namespace mohhos::manager
