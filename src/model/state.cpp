#include "model/state.hpp"

#include <array>

namespace mohhos::model {

std::string_view state_name(State state) noexcept {
  constexpr std::array<std::string_view, kStateCount> names = {
      "UNLOADED", "LOADING", "LOADED", "RUNNING", "SUSPENDED", "ERROR", "UNLOADING"};
  const auto index = static_cast<std::size_t>(state);
  return index < names.size() ? names[index] : "unknown";
}

} // namespace mohhos::model
