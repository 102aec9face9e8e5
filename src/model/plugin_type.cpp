#include "model/plugin_type.hpp"

namespace mohhos::model {
namespace {
constexpr std::array<std::string_view, kPluginTypes.size()> kNames = {
    "ai-model",         "web-extension", "p2p-protocol", "prompt-processor",
    "system-optimizer", "device-driver", "custom"};
}

std::string_view type_name(PluginType type) noexcept {
  const auto index = static_cast<std::size_t>(type);
  return index < kNames.size() ? kNames[index] : "unknown";
}

std::optional<PluginType> parse_type(std::string_view text) noexcept {
  for (const PluginType type : kPluginTypes)
    if (type_name(type) == text) return type;
  return std::nullopt;
}

} // namespace mohhos::model
