// US-004's plugin_type_t. The numbers are the specification's; the words are those of manifests and
// JSON.
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace mohhos::model {

enum class PluginType : unsigned char {
  AiModel = 0,
  WebExtension = 1,
  P2pProtocol = 2,
  PromptProcessor = 3,
  SystemOptimizer = 4,
  DeviceDriver = 5,
  Custom = 6,
};
inline constexpr std::array kPluginTypes = {
    PluginType::AiModel,         PluginType::WebExtension,    PluginType::P2pProtocol,
    PluginType::PromptProcessor, PluginType::SystemOptimizer, PluginType::DeviceDriver,
    PluginType::Custom};

// "ai-model", "web-extension", "p2p-protocol", "prompt-processor", "system-optimizer",
// "device-driver", "custom". [pure]
[[nodiscard]] std::string_view type_name(PluginType type) noexcept;
[[nodiscard]] std::optional<PluginType> parse_type(std::string_view text) noexcept;

} // namespace mohhos::model
