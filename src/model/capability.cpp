#include "model/capability.hpp"

namespace mohhos::model {
namespace {
constexpr std::array<std::string_view, kCapabilities.size()> kNames = {
    "can_access_filesystem", "can_access_network",   "can_access_hardware",
    "can_create_processes",  "can_access_ai_engine", "can_modify_system_config"};
}

std::string_view capability_name(Capability capability) noexcept {
  const auto index = static_cast<std::size_t>(capability);
  return index < kNames.size() ? kNames[index] : "unknown";
}

std::optional<Capability> parse_capability(std::string_view text) noexcept {
  for (const Capability capability : kCapabilities)
    if (capability_name(capability) == text) return capability;
  return std::nullopt;
}

} // namespace mohhos::model
