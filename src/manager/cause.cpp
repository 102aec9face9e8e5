#include "manager/cause.hpp"

#include <csignal>
#include <cstring>

#include <fmt/format.h>

namespace mohhos::manager {
namespace {

std::string in_call(std::string_view doing) {
  return doing.empty() ? "" : fmt::format(" in {}", doing);
}

std::string of_exit(int status, std::string_view doing) {
  return fmt::format("the process exited with status {}{}", status, in_call(doing));
}

std::string of_signal(int signal, std::string_view doing) {
  switch (signal) {
  case SIGSYS:
    return fmt::format("ended by its sandbox: forbidden system call (SIGSYS){}", in_call(doing));
  case SIGKILL: return fmt::format("killed by SIGKILL from outside{}", in_call(doing));
  case SIGXCPU: return fmt::format("ended by its CPU time limit (SIGXCPU){}", in_call(doing));
  default: return fmt::format("crashed with {}{}", signal_name(signal), in_call(doing));
  }
}

std::string of_words(const LastWords& words, std::string_view doing) {
  switch (words.kind) {
  case LastWordsKind::Exception:
    return fmt::format("uncaught exception{}: {}", in_call(doing),
                       words.text.empty() ? "of an unknown type" : words.text);
  case LastWordsKind::Abort:
    return fmt::format("abort(3) called{}{}{}", in_call(doing), words.text.empty() ? "" : ": ",
                       words.text);
  case LastWordsKind::Exit:
    return fmt::format("exit(3) called{} with status {}", in_call(doing), words.value);
  case LastWordsKind::Signal:
    return fmt::format("{}{}{}", of_signal(words.value, doing), words.text.empty() ? "" : " ",
                       words.text);
  }
  return {};
}

// What a process says of its own end counts only where it fits how it really ended. (A signal that
// was sent to the first process of a pid namespace cannot end it; the host exits with 128 + signal
// then, as a shell would say it.)
bool fits(const LastWords& words, const Death& death) {
  if (!death.exit_known) return true;
  switch (words.kind) {
  case LastWordsKind::Exit: return !death.signaled && death.value == words.value;
  case LastWordsKind::Signal:
    return death.value == (death.signaled ? words.value : 128 + words.value);
  case LastWordsKind::Exception:
  case LastWordsKind::Abort:
    return death.signaled ? death.value == SIGABRT || death.value == SIGKILL : death.value != 0;
  }
  return false;
}

} // namespace

std::string signal_name(int signal) {
  const char* name = ::sigabbrev_np(signal);
  return name != nullptr ? fmt::format("SIG{}", name) : fmt::format("signal {}", signal);
}

std::string cause_of(const Death& death) {
  if (!death.decided.empty()) return death.decided;
  if (death.out_of_memory > 0)
    return fmt::format("killed by its memory limit of {} MB{}", death.memory_limit_mb,
                       in_call(death.doing));
  if (death.words && fits(*death.words, death)) return of_words(*death.words, death.doing);
  const bool killed = death.signaled && death.value == SIGKILL;
  if (!death.link.empty() && (killed || !death.exit_known))
    return fmt::format("its link to the manager was closed: {}", death.link);
  if (!death.exit_known)
    return fmt::format("the process ended{} while the manager was being replaced",
                       in_call(death.doing));
  return death.signaled ? of_signal(death.value, death.doing) : of_exit(death.value, death.doing);
}

} // namespace mohhos::manager
