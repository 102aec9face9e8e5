#include "lifecycle/transitions.hpp"

#include <iterator>

#include "base/check.hpp"

namespace mohhos::lifecycle {
namespace {

using enum State;
using E = Event;
using A = Action;

constexpr Row kRows[] = {
    // The way up. A plugin in ERROR is replaced by a new load of the same name.
    {Unloaded, E::Load, Loading, A::Launch},
    {Error, E::Load, Loading, A::Launch},
    {Loading, E::Rejected, Unloaded, A::Remove},
    {Loading, E::Ready, Loaded, A::Announce},
    {Loaded, E::Start, Loaded, A::AskStart},
    {Loaded, E::Started, Running, A::Announce},

    // Standing still, by the freezer.
    {Running, E::Suspend, Running, A::Freeze},
    {Running, E::Frozen, Suspended, A::Announce},
    {Suspended, E::Resume, Suspended, A::Thaw},
    {Suspended, E::Thawed, Running, A::Announce},

    // The way down. Parted leads on to the end of the process whatever the plugin answered.
    {Running, E::Stop, Running, A::AskStop},
    {Running, E::Stopped, Loaded, A::Announce},
    {Loaded, E::Unload, Unloading, A::AskUnload},
    {Unloading, E::Parted, Unloading, A::Kill},
    {Unloading, E::Overdue, Unloading, A::Kill},
    {Unloading, E::Failed, Unloading, A::Kill},
    {Unloading, E::ForceUnload, Unloading, A::Kill},
    {Unloading, E::Died, Unloaded, A::Remove},
    {Error, E::Unload, Unloaded, A::Remove},

    // By force: no question is asked.
    {Loading, E::ForceUnload, Unloading, A::Kill},
    {Loaded, E::ForceUnload, Unloading, A::Kill},
    {Running, E::ForceUnload, Unloading, A::Kill},
    {Suspended, E::ForceUnload, Unloading, A::Kill},
    {Error, E::ForceUnload, Unloaded, A::Remove},

    // Trouble. The plugin said no, said nothing, or is gone.
    {Loading, E::Failed, Error, A::Kill},
    {Loaded, E::Failed, Error, A::Kill},
    {Running, E::Failed, Error, A::Kill},
    {Suspended, E::Failed, Error, A::Kill},
    {Loading, E::Overdue, Error, A::Kill},
    {Loaded, E::Overdue, Error, A::Kill},
    {Running, E::Overdue, Error, A::Kill},
    {Suspended, E::Overdue, Error, A::Kill},
    {Loading, E::Died, Error, A::Release},
    {Loaded, E::Died, Error, A::Release},
    {Running, E::Died, Error, A::Release},
    {Suspended, E::Died, Error, A::Release},
    {Error, E::Died, Error, A::Release},

    // The same, with a restart policy: back to LOADING, and up again from there.
    {Loading, E::Fell, Loading, A::Recover},
    {Loaded, E::Fell, Loading, A::Recover},
    {Running, E::Fell, Loading, A::Recover},
    {Suspended, E::Fell, Loading, A::Recover},
    {Error, E::Fell, Loading, A::Recover},
};

constexpr Refusal kRefusals[] = {
    {Loading, E::Load, Code::Exists, "{name} is being loaded already; wait for it"},
    {Loaded, E::Load, Code::Exists,
     "{name} is loaded already; unload it first (plugctl unload {name})"},
    {Running, E::Load, Code::Exists,
     "{name} is loaded already and RUNNING; stop and unload it first"},
    {Suspended, E::Load, Code::Exists,
     "{name} is loaded already and SUSPENDED; resume, stop and unload it first"},
    {Unloading, E::Load, Code::Exists, "{name} is being unloaded; wait for it and load again"},

    {Unloaded, E::Unload, Code::NotFound, "{name} is not loaded"},
    {Loading, E::Unload, Code::BadState,
     "{name} is still being loaded; wait for it, or unload with --force"},
    {Running, E::Unload, Code::BadState,
     "{name} is RUNNING; stop it first (plugctl stop {name}), or unload with --force"},
    {Suspended, E::Unload, Code::BadState,
     "{name} is SUSPENDED; resume and stop it first, or unload with --force"},
    {Unloading, E::Unload, Code::BadState, "{name} is being unloaded already"},

    {Unloaded, E::ForceUnload, Code::NotFound, "{name} is not loaded"},

    {Unloaded, E::Start, Code::NotFound, "{name} is not loaded; load it first"},
    {Loading, E::Start, Code::BadState, "{name} is still being loaded; wait for it"},
    {Running, E::Start, Code::BadState, "{name} is RUNNING already"},
    {Suspended, E::Start, Code::BadState, "{name} is SUSPENDED; resume it (plugctl resume {name})"},
    {Error, E::Start, Code::BadState,
     "{name} is in ERROR; load it again (plugctl load), then start it"},
    {Unloading, E::Start, Code::BadState, "{name} is being unloaded"},

    {Unloaded, E::Stop, Code::NotFound, "{name} is not loaded"},
    {Loading, E::Stop, Code::NotRunning, "{name} is still being loaded and does not run"},
    {Loaded, E::Stop, Code::NotRunning, "{name} is LOADED and does not run"},
    {Suspended, E::Stop, Code::BadState,
     "{name} is SUSPENDED; resume it first (plugctl resume {name})"},
    {Error, E::Stop, Code::NotRunning, "{name} is in ERROR and does not run"},
    {Unloading, E::Stop, Code::NotRunning, "{name} is being unloaded"},

    {Unloaded, E::Suspend, Code::NotFound, "{name} is not loaded"},
    {Loading, E::Suspend, Code::NotRunning, "{name} is still being loaded and does not run"},
    {Loaded, E::Suspend, Code::NotRunning,
     "{name} is LOADED and does not run; only a RUNNING plugin can be suspended"},
    {Suspended, E::Suspend, Code::BadState, "{name} is SUSPENDED already"},
    {Error, E::Suspend, Code::NotRunning, "{name} is in ERROR and does not run"},
    {Unloading, E::Suspend, Code::NotRunning, "{name} is being unloaded"},

    {Unloaded, E::Resume, Code::NotFound, "{name} is not loaded"},
    {Loading, E::Resume, Code::BadState, "{name} is still being loaded, not SUSPENDED"},
    {Loaded, E::Resume, Code::BadState,
     "{name} is LOADED, not SUSPENDED; start it (plugctl start {name})"},
    {Running, E::Resume, Code::BadState, "{name} is RUNNING, not SUSPENDED"},
    {Error, E::Resume, Code::BadState, "{name} is in ERROR, not SUSPENDED; load it again"},
    {Unloading, E::Resume, Code::BadState, "{name} is being unloaded"},
};

constexpr State kLiveStates[] = {Loading, Loaded, Running, Suspended, Unloading};

constexpr const Row* find_row(State state, Event event) {
  for (const Row& row : kRows)
    if (row.from == state && row.on == event) return &row;
  return nullptr;
}

constexpr const Refusal* find_refusal(State state, Event event) {
  for (const Refusal& refusal : kRefusals)
    if (refusal.in == state && refusal.request == event) return &refusal;
  return nullptr;
}

constexpr bool has_row_in_every_live_state(Event event) {
  for (const State state : kLiveStates)
    if (find_row(state, event) == nullptr) return false;
  return true;
}

constexpr bool every_request_has_one_verdict() {
  for (unsigned state = 0; state < model::kStateCount; ++state)
    for (unsigned event = 0; event < kEventCount; ++event) {
      const auto s = static_cast<State>(state);
      const auto e = static_cast<Event>(event);
      if (is_request(e) && (find_row(s, e) != nullptr) == (find_refusal(s, e) != nullptr))
        return false;
    }
  return true;
}

constexpr bool no_row_twice() {
  for (const Row& row : kRows)
    if (find_row(row.from, row.on) != &row) return false;
  return true;
}

constexpr bool only_requests_are_refused() {
  for (const Refusal& refusal : kRefusals)
    if (!is_request(refusal.request)) return false;
  return true;
}

// No process in UNLOADED or ERROR: whoever goes there from a live state either killed it or saw it
// die.
constexpr bool nobody_leaves_a_process_behind() {
  for (const Row& row : kRows) {
    const bool ends = row.to == Unloaded || row.to == Error;
    const bool cleans = row.act == A::Kill || row.act == A::Release || row.act == A::Remove;
    if (ends && !cleans) return false;
  }
  return true;
}

static_assert(has_row_in_every_live_state(E::Died), "a crash is never a surprise");
static_assert(has_row_in_every_live_state(E::Failed), "a broken link is never a surprise");
static_assert(has_row_in_every_live_state(E::Overdue), "silence is never a surprise");
static_assert(has_row_in_every_live_state(E::ForceUnload), "force always works");
static_assert(every_request_has_one_verdict(),
              "a step or a sentence, for every request in every state");
static_assert(no_row_twice());
static_assert(only_requests_are_refused());
static_assert(nobody_leaves_a_process_behind());

constexpr std::string_view kEventNames[] = {
    "load",   "unload",   "force-unload", "start",   "stop",    "suspend",
    "resume", "rejected", "ready",        "started", "stopped", "frozen",
    "thawed", "parted",   "failed",       "overdue", "died",    "fell"};
static_assert(std::size(kEventNames) == kEventCount);

constexpr std::string_view kActionNames[] = {
    "-",    "launch",   "ask on_start", "ask on_stop", "ask on_unload", "freeze",
    "thaw", "announce", "kill",         "release",     "remove",        "recover"};
static_assert(std::size(kActionNames) == static_cast<std::size_t>(A::Recover) + 1);

std::string with_name(std::string_view sentence, std::string_view name) {
  constexpr std::string_view kHole = "{name}";
  std::string text;
  for (;;) {
    const auto hole = sentence.find(kHole);
    text += sentence.substr(0, hole);
    if (hole == std::string_view::npos) return text;
    text += name;
    sentence.remove_prefix(hole + kHole.size());
  }
}

constexpr std::string_view kDocHead = R"(# Lifecycle

Seven states, and everything that can happen to a plugin. This page is printed from the tables in
`src/lifecycle/transitions.cpp` by `lifecycle_doc`; a test compares. A request may be refused, with a sentence;
a fact can only be answered. While a plugin answers a request (`on_start` and so on) it stays in the state that it
leaves, and further requests are refused as busy.

## What happens

| state | on | next state | action |
|---|---|---|---|
)";

constexpr std::string_view kDocRefusals = R"(
## What is refused

| state | request | code | sentence |
|---|---|---|---|
)";

} // namespace

std::span<const Row> rows() noexcept {
  return kRows;
}
std::span<const Refusal> refusals() noexcept {
  return kRefusals;
}

std::optional<Step> next(State state, Event event) noexcept {
  const Row* row = find_row(state, event);
  if (row == nullptr) return std::nullopt;
  return Step{row->to, row->act};
}

Result<Step> request(State state, Event event, std::string_view name) {
  if (!is_request(event))
    return fail(Code::BadState, "{}: {} is not a request", name, event_name(event));
  if (const Row* row = find_row(state, event); row != nullptr) return Step{row->to, row->act};
  const Refusal* refusal = find_refusal(state, event);
  CHECK(refusal != nullptr);
  return std::unexpected(mohhos::Error{refusal->code, with_name(refusal->sentence, name)});
}

std::string_view event_name(Event event) noexcept {
  const auto index = static_cast<std::size_t>(event);
  return index < std::size(kEventNames) ? kEventNames[index] : "?";
}

std::string_view action_name(Action action) noexcept {
  const auto index = static_cast<std::size_t>(action);
  return index < std::size(kActionNames) ? kActionNames[index] : "?";
}

std::string describe() {
  std::string text(kDocHead);
  for (const Row& row : kRows)
    text += fmt::format("| {} | {} | {} | {} |\n", state_name(row.from), event_name(row.on),
                        state_name(row.to), action_name(row.act));
  text += kDocRefusals;
  for (const Refusal& refusal : kRefusals)
    text +=
        fmt::format("| {} | {} | {} | {} |\n", state_name(refusal.in), event_name(refusal.request),
                    code_name(refusal.code), with_name(refusal.sentence, "NAME"));
  return text;
}

} // namespace mohhos::lifecycle
