// When a plugin may do what: US-004's seven states, everything that can happen to a plugin, and one
// table of what follows. Nothing else in the project sets a state.
//
// An event is a request (somebody wants something; it may be refused, with a sentence) or a fact
// (something happened; it can only be answered). US-004 has no state for 'on_start is running': the
// plugin stays in the state that it leaves until the plugin's answer, and meanwhile further
// requests are refused as busy. ERROR means: no process, nothing left of it but its entry and the
// cause.
//
// docs/lifecycle.md prints these tables; a test compares.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "model/state.hpp"

namespace mohhos::lifecycle {

using model::State;

enum class Event : unsigned char {
  // requests
  Load = 0,
  Unload,
  ForceUnload,
  Start,
  Stop,
  Suspend,
  Resume,
  // facts
  Rejected, // the load was refused before a process stood
  Ready,    // on_init answered yes
  Started,
  Stopped,
  Frozen,
  Thawed,
  Parted,  // on_unload answered, yes or no: nothing can stop an unload
  Failed,  // the plugin answered no, or broke its link
  Overdue, // no answer within max_execution_time_ms, or over a limit that only the monitor enforces
  Died,    // the process is gone and nothing of it is left
  Fell,    // the same, and its restart policy begins it again (restart_policy.hpp)
};
inline constexpr unsigned kEventCount = 18;
[[nodiscard]] constexpr bool is_request(Event event) {
  return event <= Event::Resume;
}

// What the manager does when a row is taken.
enum class Action : unsigned char {
  None = 0,
  Launch,
  AskStart,
  AskStop,
  AskUnload,
  Freeze,
  Thaw,
  Announce, // tell the waiting caller and the watchers
  Kill,     // end the process; Died follows
  Release,  // the process is gone: free everything that was its own, keep the entry and the cause
  Remove,   // the same, and the entry goes too
  Recover,  // the process is gone: its rings stay, and after a pause it is begun again
};

struct Row {
  State from;
  Event on;
  State to;
  Action act;
};

// A request that a state does not allow: the code and the sentence; "{name}" stands for the
// plugin's name.
struct Refusal {
  State in;
  Event request;
  Code code;
  std::string_view sentence;
};

struct Step {
  State to;
  Action act;
};

[[nodiscard]] std::span<const Row> rows() noexcept;
[[nodiscard]] std::span<const Refusal> refusals() noexcept;

// What follows from an event in a state; nothing when the table has no row. [pure]
[[nodiscard]] std::optional<Step> next(State state, Event event) noexcept;

// The same for a request, with the refusal as the error. [pure]
[[nodiscard]] Result<Step> request(State state, Event event, std::string_view name);

// "load", "start", "died", … [pure]
[[nodiscard]] std::string_view event_name(Event event) noexcept;
[[nodiscard]] std::string_view action_name(Action action) noexcept;

// docs/lifecycle.md, whole. [pure]
[[nodiscard]] std::string describe();

} // namespace mohhos::lifecycle
