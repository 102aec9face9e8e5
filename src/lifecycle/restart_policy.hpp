// Whether a plugin that died is begun again. Deaths in, decision out; time is an argument.
//
// OTP's and systemd's idea in its smallest form: a fixed pause, a number of restarts in a row, and
// a minute of running that makes the row begin anew. What it was doing before is its goal: LOADED,
// RUNNING or SUSPENDED, and the steps there are those that an operator would take.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/units.hpp"
#include "lifecycle/transitions.hpp"
#include "model/restart_policy.hpp"

namespace mohhos::lifecycle {

inline constexpr std::chrono::seconds kStableAfter{60};

struct RestartHistory {
  std::uint32_t total = 0;                   // restarts since the plugin was loaded
  std::uint32_t in_a_row = 0;                // without kStableAfter of standing at its goal between
  std::optional<Monotonic> standing_since{}; // nothing: it has not come to its goal yet
};

struct RestartDecision {
  bool again = false;
  std::chrono::milliseconds after{}; // when again
};

// A death at `now`; counts it. [pure]
[[nodiscard]] RestartDecision on_death(const model::RestartPolicy& policy, RestartHistory& history,
                                       Monotonic now);

// What a plugin that died in `state` is to become again; nothing: it is not restarted (it was being
// loaded for the first time, or unloaded, or is in ERROR already). [pure]
[[nodiscard]] std::optional<State> goal_of(State state);

// The next step from a state to a goal; nothing: it is there, or must wait for a fact. [pure]
[[nodiscard]] std::optional<Event> step_towards(State goal, State state);

// The goal after an operator's request in the middle of a restart: what the request would have led
// to without the crash. The error is the table's sentence for the goal as the state, but a request
// for what the goal is already just waits for it. [pure]
[[nodiscard]] Result<State> new_goal(State goal, Event request, std::string_view name);

// "restarting in 100 ms (restart 2, at most 10 in a row): <cause>" [pure]
[[nodiscard]] std::string describe_restart(const model::RestartPolicy& policy,
                                           const RestartHistory& history, std::string_view cause);

} // namespace mohhos::lifecycle
