// Why a call was refused: the rule that refused it, and the manifest line that would allow it
// (`plugctl why`).
#pragma once

#include <string>
#include <string_view>

#include "model/capability.hpp"
#include "model/refusal.hpp"

namespace mohhos::sandbox {

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
