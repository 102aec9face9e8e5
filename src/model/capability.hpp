// US-004's capability_set_t: what a plugin asks for (manifest), what a key may ask for at most
// (ceiling), what is given (grant). One word for each: capability is asked for, grant is given.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace mohhos::model {

enum class Capability : unsigned char {
  Filesystem = 0,
  Network,
  Hardware,
  CreateProcesses,
  AiEngine,
  ModifySystemConfig,
};
inline constexpr std::array kCapabilities = {
    Capability::Filesystem,      Capability::Network,  Capability::Hardware,
    Capability::CreateProcesses, Capability::AiEngine, Capability::ModifySystemConfig};

// The specification's field: "can_access_filesystem", "can_access_network", "can_access_hardware",
// "can_create_processes", "can_access_ai_engine", "can_modify_system_config". [pure]
[[nodiscard]] std::string_view capability_name(Capability capability) noexcept;
[[nodiscard]] std::optional<Capability> parse_capability(std::string_view text) noexcept;

struct CapabilitySet {
  std::uint8_t bits = 0;    // bit n: kCapabilities[n]
  std::uint32_t custom = 0; // custom_capabilities: 32 bits that applications agree on

  [[nodiscard]] constexpr bool has(Capability c) const {
    return (bits >> static_cast<unsigned>(c) & 1U) != 0;
  }
  constexpr void add(Capability c) {
    bits = static_cast<std::uint8_t>(bits | 1U << static_cast<unsigned>(c));
  }
  friend constexpr CapabilitySet operator&(CapabilitySet a, CapabilitySet b) {
    return {static_cast<std::uint8_t>(a.bits & b.bits), a.custom & b.custom};
  }
  friend constexpr bool operator==(CapabilitySet, CapabilitySet) = default;
};
inline constexpr CapabilitySet kAllCapabilities = {0x3F, 0xFFFFFFFFU};

} // namespace mohhos::model
