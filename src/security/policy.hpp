// What the operator allows one plugin, grants.d/<name>.toml, and the decision: grant = manifest ∩
// the key's ceiling ∩ the operator's policy. A plugin gets all that it asks for or is not loaded:
// half a grant would only fail later and less clearly.
//
//   can_access_filesystem = true       # capabilities, by US-004's names; custom_capabilities = 0x3
//   read = ["/usr/share"]              # literal paths of the manifest must lie under one of these
//   write = ["/var/lib/ocr"]           # (write includes read)
//   devices = ["/dev/dri"]
//   [config]
//   input = "/srv/text"                # stands for "${input}" in the ACL: the consent to it
//   [limits]
//   max_memory_mb = 32                 # lowers the manifest's, never raises it
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/grant.hpp"
#include "model/metadata.hpp"
#include "security/trust.hpp"

namespace mohhos::security {

// US-004's and our own limits that a file may set; absent is no opinion.
using LimitValues = std::map<std::string, std::uint64_t, std::less<>>;

struct OperatorPolicy {
  std::filesystem::path file = {}; // where it is, or would be
  model::CapabilitySet capabilities = {};
  std::vector<std::string> read = {};
  std::vector<std::string> write = {};
  std::vector<std::string> devices = {};
  std::map<std::string, std::string> config = {};
  LimitValues limits = {};
};

// Invalid names file and line. [pure]
[[nodiscard]] Result<OperatorPolicy> parse_policy(std::string_view text,
                                                  const std::filesystem::path& file);
// grants_directory/<plugin>.toml; an absent file grants nothing. Untrusted: somebody else may write
// it. [any]
[[nodiscard]] Result<OperatorPolicy> read_policy(const std::filesystem::path& grants_directory,
                                                 std::string_view plugin);

// ConsentNeeded names all that is missing, who asks, whether key or operator stops it, and the very
// lines to write into which file. Untrusted: the key may not sign this name. Invalid: the policy
// sets what the plugin does not have. [pure]
[[nodiscard]] Result<model::Grant>
grant(const model::Metadata& metadata, const KeyTrust& trust, const OperatorPolicy& policy,
      const std::filesystem::path& trust_file = "/etc/mohhos/trust.toml");

// What `plugctl grant` adds. A path implies its capability.
struct GrantRequest {
  std::vector<std::string> capabilities = {}; // names, or "custom:<bit>"
  std::vector<std::string> read = {};
  std::vector<std::string> write = {};
  std::vector<std::string> devices = {};
  std::vector<std::pair<std::string, std::string>> config = {};
  LimitValues limits = {};
};
// Invalid names the argument and what is allowed. [pure]
[[nodiscard]] Result<OperatorPolicy> with_request(OperatorPolicy policy,
                                                  const GrantRequest& request);
// The file; parse_policy gives the same policy back. Comments of a file written by hand are not
// kept. [pure]
[[nodiscard]] std::string render_policy(const OperatorPolicy& policy);
// Reads, changes and replaces grants_directory/<plugin>.toml (0644). [any]
[[nodiscard]] Result<OperatorPolicy> update_policy(const std::filesystem::path& grants_directory,
                                                   std::string_view plugin,
                                                   const GrantRequest& request);

} // namespace mohhos::security
