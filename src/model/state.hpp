// US-004's plugin_state_t. Who may go where is lifecycle/transitions.hpp's table, and nothing
// else's.
#pragma once

#include <string_view>

namespace mohhos::model {

enum class State : unsigned char {
  Unloaded = 0,
  Loading = 1,
  Loaded = 2,
  Running = 3,
  Suspended = 4,
  Error = 5,
  Unloading = 6,
};
inline constexpr unsigned kStateCount = 7;

// "UNLOADED", "LOADING", … as the specification spells them. [pure]
[[nodiscard]] std::string_view state_name(State state) noexcept;

} // namespace mohhos::model
