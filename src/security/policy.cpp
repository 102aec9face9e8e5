#include "security/policy.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "mohhos/v1/manifest.pb.h"
#include "mohhos/v1/policy.pb.h"

#include "security/checks.hpp"
#include "security/manifest.hpp"
#include "security/trusted_file.hpp"
#include "sys/file.hpp"

namespace mohhos::security {
namespace {

using model::Capability;
using model::CapabilitySet;

constexpr Bytes kLargestPolicy = kib(64);

CapabilitySet capabilities_of(const v1::GrantFile& file) {
  CapabilitySet set{.custom = file.custom_capabilities()};
  if (file.can_access_filesystem()) set.add(Capability::Filesystem);
  if (file.can_access_network()) set.add(Capability::Network);
  if (file.can_access_hardware()) set.add(Capability::Hardware);
  if (file.can_create_processes()) set.add(Capability::CreateProcesses);
  if (file.can_access_ai_engine()) set.add(Capability::AiEngine);
  if (file.can_modify_system_config()) set.add(Capability::ModifySystemConfig);
  return set;
}

using Paths = std::vector<std::string>;
struct PathRow {
  std::string_view name;
  Paths OperatorPolicy::* list;
  Paths GrantRequest::* requested;
  Capability implied;
};
constexpr std::array kPathRows = {
    PathRow{"read", &OperatorPolicy::read, &GrantRequest::read, Capability::Filesystem},
    PathRow{"write", &OperatorPolicy::write, &GrantRequest::write, Capability::Filesystem},
    PathRow{"devices", &OperatorPolicy::devices, &GrantRequest::devices, Capability::Hardware},
};

// Everything that a policy's values must be, wherever they came from.
Result<> check_policy(const OperatorPolicy& policy, const Source& source) {
  for (const PathRow& row : kPathRows) {
    const Paths& paths = policy.*row.list;
    TRY(check_count(source, row.name, paths.size()));
    for (std::size_t i = 0; i < paths.size(); ++i)
      TRY(check_path(source, fmt::format("{}[{}]", row.name, i), paths[i]));
  }
  TRY(check_count(source, "config", policy.config.size()));
  for (const auto& [key, value] : policy.config)
    TRY(check_setting(source, "config." + key, key, value));
  for (const auto& [name, value] : policy.limits) {
    const auto row = std::ranges::find(kLimitRanges, name, &LimitRange::name);
    if (row == kLimitRanges.end())
      return fail(Code::Invalid, "{}'{}' is no limit", source.at("limits"), name);
    TRY(check_limit(source, "limits." + name, value,
                    static_cast<std::size_t>(row - kLimitRanges.begin())));
  }
  return {};
}

void add_missing(Paths& list, const Paths& more) {
  for (const std::string& path : more)
    if (std::ranges::find(list, path) == list.end()) list.push_back(path);
}

Result<> add_capability(CapabilitySet& set, const std::string& text) {
  if (const auto capability = model::parse_capability(text)) {
    set.add(*capability);
    return {};
  }
  constexpr std::string_view kCustom = "custom:";
  if (text.starts_with(kCustom)) {
    unsigned bit = 0;
    const char* const end = text.data() + text.size();
    const auto [next, error] = std::from_chars(text.data() + kCustom.size(), end, bit);
    if (error == std::errc() && next == end && bit < 32) {
      set.custom |= 1U << bit;
      return {};
    }
  }
  return fail(Code::Invalid,
              "'{}' is no capability: one of {}, or custom:<bit> with a bit from 0 to 31", text,
              capability_names());
}

// A TOML basic string. (Values are UTF-8 and have no control characters but line ends and tabs.)
std::string toml_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
    case '"': out += "\\\""; break;
    case '\\': out += "\\\\"; break;
    case '\n': out += "\\n"; break;
    case '\r': out += "\\r"; break;
    case '\t': out += "\\t"; break;
    default: out += c;
    }
  }
  return out + '"';
}

// Bare where TOML allows it: a dot in a bare key would make a table.
std::string toml_key(const std::string& key) {
  return key.find('.') == std::string::npos ? key : toml_string(key);
}

std::string toml_list(const Paths& paths) {
  std::string out = "[";
  for (const std::string& path : paths) {
    if (out.size() > 1) out += ", ";
    out += toml_string(path);
  }
  return out + ']';
}

} // namespace

Result<OperatorPolicy> parse_policy(std::string_view text, const std::filesystem::path& file) {
  v1::GrantFile message;
  TRY(const Source source, parse_toml(text, file.native(), kLargestPolicy, message));
  OperatorPolicy policy{.file = file,
                        .capabilities = capabilities_of(message),
                        .read = {message.read().begin(), message.read().end()},
                        .write = {message.write().begin(), message.write().end()},
                        .devices = {message.devices().begin(), message.devices().end()},
                        .config = {message.config().begin(), message.config().end()},
                        .limits = {}};
  for (std::size_t row = 0; row < kLimitRanges.size(); ++row)
    if (source.has(fmt::format("limits.{}", kLimitRanges[row].name)))
      policy.limits.emplace(kLimitRanges[row].name, limit_at(message.limits(), row));
  TRY(check_policy(policy, source));
  return policy;
}

Result<OperatorPolicy> read_policy(const std::filesystem::path& grants_directory,
                                   std::string_view plugin) {
  if (!model::is_plugin_name(plugin))
    return fail(Code::Invalid, "'{}' is no plugin's name", plugin.substr(0, 80));
  const std::filesystem::path file = grants_directory / fmt::format("{}.toml", plugin);
  const auto text = read_trusted_file(file, kLargestPolicy);
  if (text) return parse_policy(*text, file);
  if (text.error().code != Code::NotFound) return std::unexpected(text.error());
  OperatorPolicy nothing;
  nothing.file = file;
  return nothing;
}

Result<OperatorPolicy> with_request(OperatorPolicy policy, const GrantRequest& request) {
  for (const std::string& capability : request.capabilities)
    TRY(add_capability(policy.capabilities, capability));
  for (const PathRow& row : kPathRows) {
    add_missing(policy.*row.list, request.*row.requested);
    if (!(request.*row.requested).empty()) policy.capabilities.add(row.implied);
  }
  for (const auto& [key, value] : request.config) policy.config.insert_or_assign(key, value);
  for (const auto& [name, value] : request.limits) policy.limits.insert_or_assign(name, value);
  TRY(check_policy(policy, Source{.file = policy.file}));
  return policy;
}

std::string render_policy(const OperatorPolicy& policy) {
  std::string text;
  const auto out = std::back_inserter(text);
  for (const Capability capability : model::kCapabilities)
    if (policy.capabilities.has(capability))
      fmt::format_to(out, "{} = true\n", model::capability_name(capability));
  if (policy.capabilities.custom != 0)
    fmt::format_to(out, "custom_capabilities = {:#x}\n", policy.capabilities.custom);
  for (const PathRow& row : kPathRows)
    if (!(policy.*row.list).empty())
      fmt::format_to(out, "{} = {}\n", row.name, toml_list(policy.*row.list));
  if (!policy.config.empty()) text += "[config]\n";
  for (const auto& [key, value] : policy.config)
    fmt::format_to(out, "{} = {}\n", toml_key(key), toml_string(value));
  if (!policy.limits.empty()) text += "[limits]\n";
  for (const auto& [name, value] : policy.limits) fmt::format_to(out, "{} = {}\n", name, value);
  return text;
}

Result<OperatorPolicy> update_policy(const std::filesystem::path& grants_directory,
                                     std::string_view plugin, const GrantRequest& request) {
  TRY(OperatorPolicy policy, read_policy(grants_directory, plugin));
  TRY(policy, with_request(std::move(policy), request));
  TRY(sys::make_directories(grants_directory, 0755));
  TRY(sys::replace_file(policy.file, render_policy(policy), 0644));
  return policy;
}

} // namespace mohhos::security
