// The manager's own state as bytes, for the warden's custody (proto/mohhos/v1/record.proto).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "ipc/link.hpp"
#include "ipc/remains.hpp"
#include "lifecycle/restart_policy.hpp"
#include "model/info.hpp"
#include "model/refusal.hpp"

namespace mohhos::manager {

struct SavedRestart {
  bool under_way = false;
  bool waiting = false; // for the end of the backoff: there is no process
  model::State goal{};
  std::string cause{};
  lifecycle::RestartHistory history{};
  model::State fell_from{};
  std::vector<ipc::Suspect> suspects{};
};

struct SavedPlugin {
  model::PluginInfo info; // what restores it: not the process, not samples
  std::string signature{};
  std::string manifest{};
  ipc::Operation pending{}; // 0: none
  std::uint32_t sequence = 0;
  std::vector<model::Refusal> attempts{}; // without their words: those are found again
  std::uint64_t attempts_lost = 0;
  SavedRestart restart{};
};

struct SavedEndpoint {
  PluginId id;
  std::string name;
  std::uint32_t uid = 0;
  std::string delivers_to{};
};

// A recorder wants copies of a channel, or of all between two ends, whenever one is there.
struct TapWish {
  PluginId recorder;
  ChannelId channel; // 0: by ends
  std::string sender;
  std::string receiver;
};

struct SavedManager {
  std::uint64_t next_id = 1;
  std::uint64_t started_us = 0;
  std::uint64_t life = 0;
  std::vector<std::byte> broker;
  std::vector<SavedEndpoint> endpoints;
  std::vector<TapWish> taps{};
  std::vector<std::byte> memories{};
};

[[nodiscard]] std::string serialize(const SavedPlugin& plugin);
[[nodiscard]] std::string serialize(const SavedManager& manager);
// Malformed names what does not fit. The metadata comes from the manifest, parsed and checked
// again. [pure]
[[nodiscard]] Result<SavedPlugin> parse_plugin_record(std::span<const std::byte> bytes);
[[nodiscard]] Result<SavedManager> parse_manager_record(std::span<const std::byte> bytes);

} // namespace mohhos::manager
