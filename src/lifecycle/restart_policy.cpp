#include "lifecycle/restart_policy.hpp"

namespace mohhos::lifecycle {
namespace {

// What a request leads to; ERROR: the request is none that moves a goal.
State aim_of(Event request) {
  switch (request) {
  case Event::Start:
  case Event::Resume: return State::Running;
  case Event::Stop: return State::Loaded;
  case Event::Suspend: return State::Suspended;
  default: return State::Error;
  }
}

} // namespace

RestartDecision on_death(const model::RestartPolicy& policy, RestartHistory& history,
                         Monotonic now) {
  if (!policy.on_crash) return {};
  if (history.standing_since && now - *history.standing_since >= kStableAfter) history.in_a_row = 0;
  history.standing_since.reset();
  if (history.in_a_row >= policy.limit) return {};
  ++history.in_a_row;
  ++history.total;
  return {.again = true, .after = policy.backoff};
}

std::optional<State> goal_of(State state) {
  if (state == State::Loaded || state == State::Running || state == State::Suspended) return state;
  return std::nullopt;
}

std::optional<Event> step_towards(State goal, State state) {
  if (goal == state) return std::nullopt;
  switch (state) {
  case State::Loaded: return Event::Start;
  case State::Running: return goal == State::Suspended ? Event::Suspend : Event::Stop;
  case State::Suspended: return Event::Resume;
  default: return std::nullopt;
  }
}

Result<State> new_goal(State goal, Event asked, std::string_view name) {
  const State aim = aim_of(asked);
  if (aim == goal) return goal;
  TRY(request(goal, asked, name));
  if (aim == State::Error)
    return fail(Code::BadState, "{} is being restarted; {} must wait for it", name,
                event_name(asked));
  return aim;
}

std::string describe_restart(const model::RestartPolicy& policy, const RestartHistory& history,
                             std::string_view cause) {
  return fmt::format("restarting in {} ms ({} of at most {} restarts in a row): {}",
                     policy.backoff.count(), history.in_a_row, policy.limit, cause);
}

} // namespace mohhos::lifecycle
