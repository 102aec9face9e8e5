// trust.toml: how far each key of the keyring is trusted.
//
//   [keys.B08A12725892A293]
//   level = "verified"                      # none, community, verified, system
//   ceiling = ["can_access_filesystem"]     # capabilities its plugins may have at most; absent:
//   the level's custom = 0xFF                           # custom_capabilities at most; absent: the
//   level's names = ["acme-*"]                      # plugin names it may sign; absent: any key =
//   "RWQ…"                            # absent: whatever keys.d has under this id
//
// A key without an entry is community. What a level allows when the entry says nothing (a ceiling
// only: the operator still grants each capability to each plugin):
//   none       nothing: its plugins are refused. A way to retire a key without removing its file
//   community  can_access_filesystem, can_access_ai_engine, all custom bits (they have no force of
//   their own).
//              Not can_create_processes or can_access_hardware: both widen what reaches the kernel
//   verified   also can_create_processes, can_access_hardware
//   system     everything
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "model/grant.hpp"
#include "security/minisign.hpp"

namespace mohhos::security {

struct KeyTrust {
  KeyId id;
  model::TrustLevel level = model::TrustLevel::Community;
  model::CapabilitySet ceiling = {};
  std::vector<std::string> names = {}; // empty: any
  std::string key = {};                // the key line that the entry pins; empty: none
};

struct Trust {
  std::filesystem::path file; // for errors: where to write what is missing
  std::map<KeyId, KeyTrust> entries;
  // The key's entry, or the default. Untrusted: the entry pins another key, or its level is none.
  // [pure]
  [[nodiscard]] Result<KeyTrust> of(const PublicKey& key) const;
};

// Invalid names file and line. [pure]
[[nodiscard]] Result<Trust> parse_trust(std::string_view text, const std::filesystem::path& file);
// An absent file is an empty Trust. Untrusted: somebody else may write it. [any]
[[nodiscard]] Result<Trust> read_trust(const std::filesystem::path& file);

// What the level allows when the entry does not say. [pure]
[[nodiscard]] model::CapabilitySet default_ceiling(model::TrustLevel level);
// "none", "community", "verified", "system". [pure]
[[nodiscard]] std::string_view trust_name(model::TrustLevel level) noexcept;

} // namespace mohhos::security
