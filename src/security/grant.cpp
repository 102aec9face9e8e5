// The decision. All that is missing is collected first, so that the operator reads it once and
// answers once.
#include "security/policy.hpp"

#include <algorithm>

#include "model/paths.hpp"
#include "security/checks.hpp"
#include "security/nearest.hpp"

namespace mohhos::security {
namespace {

using model::Capability;
using model::CapabilitySet;
using model::Metadata;

// Capabilities whose broker is a later version's: a grant would be a promise that nobody keeps.
constexpr Capability kNotYet[] = {Capability::Network, Capability::ModifySystemConfig};

Result<> check_available(const Metadata& metadata) {
  for (const Capability capability : kNotYet)
    if (metadata.capabilities.has(capability))
      return fail(Code::ConsentNeeded,
                  "{} asks for {}, which is not available in this version: nobody can grant it "
                  "(a plugin that can do without must not ask for it under [capabilities])",
                  metadata.name, model::capability_name(capability));
  return {};
}

bool matches(std::string_view pattern, std::string_view name) {
  return pattern.ends_with('*') ? name.starts_with(pattern.substr(0, pattern.size() - 1))
                                : name == pattern;
}

Result<> check_name(const Metadata& metadata, const KeyTrust& trust,
                    const std::filesystem::path& trust_file) {
  if (trust.names.empty()) return {};
  if (std::ranges::any_of(trust.names,
                          [&](const auto& pattern) { return matches(pattern, metadata.name); }))
    return {};
  return fail(Code::Untrusted, "key {} may not sign a plugin of the name {}: {} allows it {}",
              to_string(trust.id), metadata.name, trust_file.native(), joined(trust.names));
}

CapabilitySet without(CapabilitySet wanted, CapabilitySet given) {
  return {.bits = static_cast<std::uint8_t>(wanted.bits & ~given.bits),
          .custom = wanted.custom & ~given.custom};
}

std::vector<std::string> names_of(CapabilitySet set) {
  std::vector<std::string> names;
  for (const Capability capability : model::kCapabilities)
    if (set.has(capability)) names.emplace_back(model::capability_name(capability));
  for (unsigned bit = 0; bit < 32; ++bit)
    if ((set.custom >> bit & 1U) != 0) names.push_back(fmt::format("custom:{}", bit));
  return names;
}

Result<> check_ceiling(const Metadata& metadata, const KeyTrust& trust,
                       const std::filesystem::path& trust_file) {
  const CapabilitySet missing = without(metadata.capabilities, trust.ceiling);
  if (missing == CapabilitySet{}) return {};
  std::string list;
  for (const Capability capability : model::kCapabilities) {
    if (!trust.ceiling.has(capability) && !missing.has(capability)) continue;
    fmt::format_to(std::back_inserter(list), "{}\"{}\"", list.empty() ? "" : ", ",
                   model::capability_name(capability));
  }
  std::string lines = fmt::format("\n  [keys.{}]\n  level = \"{}\"\n  ceiling = [{}]",
                                  to_string(trust.id), trust_name(trust.level), list);
  if (missing.custom != 0)
    fmt::format_to(std::back_inserter(lines), "\n  custom = {:#x}",
                   trust.ceiling.custom | missing.custom);
  return fail(Code::ConsentNeeded,
              "{} asks for {}, and the ceiling of its signer, key {} ({}), does not allow that. To "
              "allow it to all plugins of this key, let {} say:{}",
              metadata.name, joined(names_of(missing)), to_string(trust.id),
              trust_name(trust.level), trust_file.native(), lines);
}

// Component by component: /usr/share covers /usr/share and /usr/share/x, not /usr/shared. Both are
// in normal form (checked when they were parsed), so that no '..' can lead out again.
bool covers(std::string_view prefix, std::string_view path) {
  if (prefix == "/") return true;
  return path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/');
}

bool any_covers(const std::vector<std::string>& prefixes, std::string_view path) {
  return std::ranges::any_of(prefixes,
                             [path](const std::string& prefix) { return covers(prefix, path); });
}

// What the operator has not said, as the request that would say it.
struct Missing {
  std::vector<std::string> items;
  GrantRequest request;
  std::string command; // arguments of `plugctl grant`
};

// The paths of one ACL list: literal ones must lie under a prefix, a "${key}" that the operator set
// is consent.
struct PathQuestion {
  std::string_view verb;   // "read"
  std::string_view option; // "--read"
  const std::vector<std::string>& asked;
  std::vector<std::string> prefixes;
  std::vector<std::string>& given;
  std::vector<std::string>& request;
};

Result<> answer_paths(const PathQuestion& question, const Metadata& metadata,
                      const OperatorPolicy& policy, Missing& missing) {
  const auto out = std::back_inserter(missing.command);
  for (const std::string& entry : question.asked) {
    std::string path = entry;
    if (const auto reference = reference_of(entry)) {
      const std::string key(*reference);
      if (const auto set = policy.config.find(key);
          set != policy.config.end() && !set->second.empty()) {
        TRY(check_path(Source{.file = policy.file}, "config." + key, set->second));
        question.given.push_back(set->second);
        continue;
      }
      const auto fallback = metadata.config.find(key);
      path = fallback == metadata.config.end() ? "" : fallback->second;
      if (path.empty()) {
        missing.items.push_back(
            fmt::format("the setting '{}', a path that it wants to {}", key, question.verb));
        missing.request.config.emplace_back(key, "/PATH");
        fmt::format_to(out, " --set {}=/PATH", key);
        continue;
      }
      TRY(check_path(Source{.file = "the manifest"}, "config." + key, path));
    }
    if (any_covers(question.prefixes, path)) {
      question.given.push_back(path);
      continue;
    }
    missing.items.push_back(fmt::format("{} {}", question.verb, path));
    question.request.push_back(path);
    fmt::format_to(out, " {} {}", question.option, path);
  }
  return {};
}

Result<> check_settings(const Metadata& metadata, const OperatorPolicy& policy) {
  for (const auto& [key, value] : policy.config) {
    if (metadata.config.contains(key)) continue;
    std::vector<std::string> known;
    for (const auto& [name, unused] : metadata.config) known.push_back(name);
    return fail(Code::Invalid, "{} sets '{}', and {} has no such setting; {}", policy.file.native(),
                key, metadata.name, known.empty() ? "it has none" : suggestion(key, known));
  }
  return {};
}

std::string indented(std::string_view lines) {
  std::string text;
  while (!lines.empty()) {
    const std::size_t end = std::min(lines.find('\n'), lines.size());
    fmt::format_to(std::back_inserter(text), "\n  {}", lines.substr(0, end));
    lines.remove_prefix(std::min(end + 1, lines.size()));
  }
  return text;
}

// plugctl has to be told of a private daemon's directory, or it would write into the system's.
std::string root_option(const std::filesystem::path& file) {
  const auto root = file.parent_path().parent_path().parent_path().parent_path();
  if (root == "/" || model::paths_under(root).grants() != file.parent_path()) return "";
  return fmt::format(" --root {}", root.native());
}

Result<> consent_needed(const Metadata& metadata, const OperatorPolicy& policy,
                        const Missing& missing) {
  if (missing.items.empty()) return {};
  TRY(const OperatorPolicy wanted, with_request(policy, missing.request));
  return fail(Code::ConsentNeeded,
              "{} asks for what the operator has not granted: {}. To grant it: plugctl grant "
              "{}{}{}, or let {} say:{}",
              metadata.name, joined(missing.items), metadata.name, missing.command,
              root_option(policy.file), policy.file.native(), indented(render_policy(wanted)));
}

} // namespace

Result<model::Grant> grant(const Metadata& metadata, const KeyTrust& trust,
                           const OperatorPolicy& policy, const std::filesystem::path& trust_file) {
  TRY(check_name(metadata, trust, trust_file));
  TRY(check_available(metadata));
  TRY(check_ceiling(metadata, trust, trust_file));
  TRY(check_settings(metadata, policy));

  Missing missing;
  missing.request.capabilities = names_of(without(metadata.capabilities, policy.capabilities));
  missing.items = missing.request.capabilities;
  for (const std::string& name : missing.request.capabilities)
    missing.command += " --capability " + name;

  model::Grant given;
  std::vector<std::string> readable = policy.read;
  readable.insert(readable.end(), policy.write.begin(), policy.write.end());
  TRY(answer_paths({"read", "--read", metadata.acl.read, std::move(readable), given.acl.read,
                    missing.request.read},
                   metadata, policy, missing));
  TRY(answer_paths({"write", "--write", metadata.acl.write, policy.write, given.acl.write,
                    missing.request.write},
                   metadata, policy, missing));
  TRY(answer_paths({"use", "--device", metadata.acl.devices, policy.devices, given.acl.devices,
                    missing.request.devices},
                   metadata, policy, missing));
  TRY(consent_needed(metadata, policy, missing));

  given.capabilities = metadata.capabilities & trust.ceiling & policy.capabilities;
  given.acl.send_to = metadata.acl.send_to;
  given.acl.receive_from = metadata.acl.receive_from;
  given.limits = metadata.limits;
  for (std::size_t row = 0; row < kLimitRanges.size(); ++row)
    if (const auto lower = policy.limits.find(kLimitRanges[row].name); lower != policy.limits.end())
      set_limit(given.limits, row, std::min(limit_at(given.limits, row), lower->second));
  given.config = metadata.config;
  for (const auto& [key, value] : policy.config) given.config.insert_or_assign(key, value);
  return given;
}

} // namespace mohhos::security
