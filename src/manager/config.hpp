// <etc>/mohhosd.toml and <etc>/conf.d/*.toml (in the order of their names, later ones win): who may
// do what on the control socket, and the operator's bounds. Every key is optional; an unknown key
// or a wrong value is an error that names file, line, key, value and what is allowed.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/units.hpp"
#include "model/limits.hpp"
#include "model/paths.hpp"
#include "model/wall.hpp"

namespace mohhos::manager {

// What a caller may do: look, operate plugins, or also bring new ones (load, unload). Each includes
// the one before.
enum class Role : unsigned char { None = 0, Observe = 1, Operate = 2, Admin = 3 };
[[nodiscard]] std::string_view role_name(Role role) noexcept;

struct RoleMembers {
  std::vector<std::uint32_t> uids;
  std::vector<std::uint32_t> gids;
};

struct Config {
  // [control] root and the user that runs mohhosd are admins always.
  RoleMembers observe;
  RoleMembers operate;
  RoleMembers admin;
  std::uint32_t max_connections_per_uid = 64;
  std::uint32_t max_endpoints_per_uid = 16;
  // [limits] what no plugin gets more of, by US-004's names; a manifest that asks for more gets
  // this
  model::ResourceLimits max_limits{.max_memory_mb = 16384,
                                   .max_cpu_percent = 6400,
                                   .max_file_descriptors = 65536,
                                   .max_network_connections = 65536,
                                   .max_execution_time_ms = 600'000,
                                   .max_processes = 4096,
                                   .max_tmp_mb = 4096,
                                   .max_tmp_files = 1'000'000};
  // [plugins]
  std::uint32_t max_plugins = 1000;
  Bytes max_plugin_bytes = mib(64);
  // [sandbox]
  model::SandboxLevel min_level = model::SandboxLevel::L1; // below it nothing starts
  std::vector<std::string> allowed_libraries; // DT_NEEDED names besides the built-in list
  // [deadletters]
  std::uint32_t max_letters = 1000;
  Bytes max_letter_bytes = mib(64);
  // [data]
  std::chrono::microseconds spin{50}; // how long a plugin looks at its rings before it sleeps
  Bytes ring_bytes = mib(2);          // of a channel that does not ask for more
  // [journal] of messages that are on disk and not acknowledged
  bool journal = true;
  Bytes journal_channel_bytes = mib(64);
  Bytes journal_bytes = mib(512);
};

// The role of a caller with this uid and these groups; `owner` is the uid that runs mohhosd. [pure]
[[nodiscard]] Role role_of(const Config& config, std::uint32_t uid,
                           const std::vector<std::uint32_t>& gids, std::uint32_t owner) noexcept;

// The text of one file on top of what is there already. `file` is for errors. [pure]
[[nodiscard]] Result<> parse_config(std::string_view text, std::string_view file, Config& config);

// The limits that a plugin gets under this ceiling. [pure]
[[nodiscard]] model::ResourceLimits lower_limits(model::ResourceLimits limits,
                                                 const model::ResourceLimits& ceiling);

// docs/configuration.md, whole. [pure]
[[nodiscard]] std::string describe_config();

// All files that exist; none is fine. [any]
[[nodiscard]] Result<Config> read_config(const model::Paths& paths);

} // namespace mohhos::manager
