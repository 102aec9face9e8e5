#include "security/manifest_checks.hpp"

#include <algorithm>
#include <bit>
#include <charconv>

#include "mohhos/v1/manifest.pb.h"

#include "security/checks.hpp"
#include "security/manifest.hpp"
#include "security/nearest.hpp"

namespace mohhos::security {
namespace {

using model::Capability;
using model::Metadata;
using Strings = google::protobuf::RepeatedPtrField<std::string>;

constexpr std::string_view kNameRule = "[a-z0-9][a-z0-9_-]*, at most 63 characters";
constexpr std::string_view kApplications = "application"; // model::Acl's word
constexpr std::string_view kMachines[] = {"x86_64", "aarch64", "riscv64"};
constexpr std::uint32_t kHighestApi = 1000;

std::string type_names() {
  std::vector<std::string> names;
  for (const model::PluginType type : model::kPluginTypes)
    names.emplace_back(model::type_name(type));
  return joined(names);
}

Result<model::Version> version_at(const Source& source, std::string_view path,
                                  const std::string& text) {
  auto version = model::parse_version(text);
  if (!version)
    return not_allowed(source, path, text, "up to three numbers with dots between, like 1.4.2");
  return version;
}

Result<> fill_identity(const v1::PluginManifest& manifest, const Source& source,
                       Metadata& metadata) {
  if (manifest.name().empty())
    return fail(Code::Invalid, "{}name is missing: {}", source.at("name"), kNameRule);
  if (!model::is_plugin_name(manifest.name()))
    return not_allowed(source, "name", manifest.name(), kNameRule);
  if (manifest.name() == kApplications)
    return not_allowed(source, "name", manifest.name(),
                       "another one: in ACLs it stands for programs outside");
  if (manifest.version().empty())
    return fail(Code::Invalid, "{}version is missing: like version = \"1.0.0\"",
                source.at("version"));
  metadata.name = manifest.name();
  TRY(metadata.version, version_at(source, "version", manifest.version()));
  if (!manifest.type().empty()) {
    const auto type = model::parse_type(manifest.type());
    if (!type) return not_allowed(source, "type", manifest.type(), "one of " + type_names());
    metadata.type = *type;
  }
  TRY(check_text(source, "description", manifest.description(), model::kLongestDescription));
  TRY(check_text(source, "author", manifest.author(), model::kLongestName));
  metadata.description = manifest.description();
  metadata.author = manifest.author();
  if (manifest.api() > kHighestApi)
    return not_allowed(source, "api", std::to_string(manifest.api()),
                       fmt::format("from 1 to {}", kHighestApi));
  metadata.required_api_version = manifest.api() == 0 ? 1 : manifest.api();
  return {};
}

Result<> fill_dependencies(const v1::PluginManifest& manifest, const Source& source,
                           Metadata& metadata) {
  TRY(check_count(source, "depends", static_cast<std::size_t>(manifest.depends_size())));
  for (const auto& [name, wanted] : manifest.depends()) {
    const std::string path = "depends." + name;
    if (!model::is_plugin_name(name))
      return not_allowed(source, path, name, fmt::format("a plugin's name, {}", kNameRule));
    if (name == metadata.name)
      return fail(Code::Invalid, "{}{} depends on itself", source.at(path), name);
    model::Dependency dependency{.name = name, .versions = {}, .optional = wanted.optional()};
    if (!wanted.min().empty()) {
      TRY(dependency.versions.min, version_at(source, path + ".min", wanted.min()));
    }
    if (!wanted.max().empty()) {
      TRY(dependency.versions.max, version_at(source, path + ".max", wanted.max()));
    }
    if (dependency.versions.max < dependency.versions.min)
      return fail(Code::Invalid, "{}{}: no version is at least {} and at most {}", source.at(path),
                  path, wanted.min(), wanted.max());
    metadata.dependencies.push_back(std::move(dependency));
  }
  std::ranges::sort(metadata.dependencies, {}, &model::Dependency::name);
  return {};
}

Result<> fill_platform(const v1::Platform& platform, const Source& source, Metadata& metadata) {
  if (!platform.os().empty() && platform.os() != "linux")
    return not_allowed(source, "platform.os", platform.os(), "\"linux\"");
  if (!platform.machine().empty()) {
    if (std::ranges::find(kMachines, platform.machine()) == std::end(kMachines))
      return not_allowed(source, "platform.machine", platform.machine(),
                         "x86_64, aarch64 or riscv64");
    metadata.platform.machine = platform.machine();
  }
  if (!platform.min_kernel().empty()) {
    TRY(metadata.platform.min_kernel,
        version_at(source, "platform.min_kernel", platform.min_kernel()));
  }
  return {};
}

model::CapabilitySet capabilities_of(const v1::Capabilities& wanted) {
  model::CapabilitySet set{.custom = wanted.custom_capabilities()};
  if (wanted.can_access_filesystem()) set.add(Capability::Filesystem);
  if (wanted.can_access_network()) set.add(Capability::Network);
  if (wanted.can_access_hardware()) set.add(Capability::Hardware);
  if (wanted.can_create_processes()) set.add(Capability::CreateProcesses);
  if (wanted.can_access_ai_engine()) set.add(Capability::AiEngine);
  if (wanted.can_modify_system_config()) set.add(Capability::ModifySystemConfig);
  return set;
}

// A path, or "${key}" with a key of [config].
Result<> check_place(const v1::PluginManifest& manifest, const Source& source,
                     const std::string& path, const std::string& entry) {
  if (const auto key = reference_of(entry)) {
    if (manifest.config().contains(std::string(*key))) return {};
    return not_allowed(source, path, entry,
                       "an absolute path, or ${key} with a key that [config] has");
  }
  return check_path(source, path, entry);
}

Result<> check_address(const v1::PluginManifest&, const Source& source, const std::string& path,
                       const std::string& entry) {
  TRY(check_text(source, path, entry, kLongestPath));
  const std::size_t colon = entry.rfind(':');
  std::uint32_t port = 0;
  if (colon != std::string::npos && colon > 0) {
    const char* const end = entry.data() + entry.size();
    const auto [next, error] = std::from_chars(entry.data() + colon + 1, end, port);
    if (error == std::errc() && next == end && port >= 1 && port <= 65535 &&
        entry.find_first_of(" /\\@") == std::string::npos)
      return {};
  }
  return not_allowed(source, path, entry, "host:port, with a port from 1 to 65535");
}

Result<> check_peer(const v1::PluginManifest&, const Source& source, const std::string& path,
                    const std::string& entry) {
  constexpr std::string_view kTypePrefix = "type:";
  if (entry == "*" || model::is_plugin_name(entry)) return {}; // "application" is a name as well
  if (entry.starts_with(kTypePrefix) &&
      model::parse_type(std::string_view(entry).substr(kTypePrefix.size())))
    return {};
  return not_allowed(
      source, path, entry,
      fmt::format("a plugin's name, \"application\", \"*\", or \"type:\" and one of {}",
                  type_names()));
}

// The lists of [acl], what each entry must be, and the capability without which the list means
// nothing.
struct AclRow {
  std::string_view name;
  const Strings& (v1::Acl::*from)() const;
  std::vector<std::string> model::Acl::* to;
  Result<> (*check)(const v1::PluginManifest&, const Source&, const std::string&,
                    const std::string&);
  std::optional<Capability> needs;
};
const AclRow kAclRows[] = {
    {"read", &v1::Acl::read, &model::Acl::read, check_place, Capability::Filesystem},
    {"write", &v1::Acl::write, &model::Acl::write, check_place, Capability::Filesystem},
    {"devices", &v1::Acl::devices, &model::Acl::devices, check_place, Capability::Hardware},
    {"connect", &v1::Acl::connect, &model::Acl::connect, check_address, Capability::Network},
    {"send_to", &v1::Acl::send_to, &model::Acl::send_to, check_peer, std::nullopt},
    {"receive_from", &v1::Acl::receive_from, &model::Acl::receive_from, check_peer, std::nullopt},
};

Result<> fill_acl(const v1::PluginManifest& manifest, const Source& source, Metadata& metadata) {
  for (const AclRow& row : kAclRows) {
    const Strings& entries = (manifest.acl().*row.from)();
    const std::string path = fmt::format("acl.{}", row.name);
    TRY(check_count(source, path, static_cast<std::size_t>(entries.size())));
    if (row.needs && !entries.empty() && !metadata.capabilities.has(*row.needs))
      return fail(Code::Invalid, "{}{} needs the capability {}: add {} = true under [capabilities]",
                  source.at(path), path, model::capability_name(*row.needs),
                  model::capability_name(*row.needs));
    for (int i = 0; i < entries.size(); ++i)
      TRY(row.check(manifest, source, fmt::format("{}[{}]", path, i), entries[i]));
    (metadata.acl.*row.to).assign(entries.begin(), entries.end());
  }
  return {};
}

Result<> fill_limits(const v1::Limits& limits, const Source& source, Metadata& metadata) {
  for (std::size_t row = 0; row < kLimitRanges.size(); ++row) {
    const std::string path = fmt::format("limits.{}", kLimitRanges[row].name);
    const std::uint64_t value = limit_at(limits, row);
    if (value == 0 && !source.has(path)) continue; // absent: the default
    TRY(check_limit(source, path, value, row));
    set_limit(metadata.limits, row, value);
  }
  return {};
}

Result<> fill_config(const v1::PluginManifest& manifest, const Source& source, Metadata& metadata) {
  TRY(check_count(source, "config", static_cast<std::size_t>(manifest.config_size())));
  for (const auto& [key, value] : manifest.config()) {
    TRY(check_setting(source, "config." + key, key, value));
    metadata.config.emplace(key, value);
  }
  return {};
}

// The whole of a text as a number, without a sign, a blank or a needless 0 in front.
std::optional<std::uint32_t> whole_number(std::string_view text) {
  std::uint32_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [next, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || next != end || (text.size() > 1 && text.front() == '0'))
    return std::nullopt;
  return number;
}

Result<> fill_events(const v1::PluginManifest& manifest, const Source& source, Metadata& metadata) {
  TRY(check_count(source, "events", static_cast<std::size_t>(manifest.events_size())));
  for (const auto& [key, value] : manifest.events()) {
    const std::string path = "events." + key;
    const auto event = whole_number(key);
    if (!event)
      return not_allowed(source, path, value,
                         "an entry whose key is an event type, from \"0\" to \"4294967295\"");
    const auto lossiness = model::parse_lossiness(value);
    if (!lossiness) return not_allowed(source, path, value, "none, newest or oldest");
    metadata.events.emplace(*event, *lossiness);
  }
  return {};
}

// "256 KiB", "1 MiB", "1GiB".
std::optional<Bytes> parse_bytes(std::string_view text) {
  constexpr std::pair<std::string_view, unsigned> kUnits[] = {
      {"KiB", 10}, {"MiB", 20}, {"GiB", 30}};
  for (const auto& [unit, shift] : kUnits) {
    if (!text.ends_with(unit)) continue;
    text.remove_suffix(unit.size());
    if (text.ends_with(' ')) text.remove_suffix(1);
    const auto number = whole_number(text);
    if (number) return Bytes{std::uint64_t{*number} << shift};
  }
  return std::nullopt;
}

// After the limits: a full ring is the sender's memory, and must not be its end.
Result<> fill_channels(const v1::Channels& channels, const Source& source, Metadata& metadata) {
  constexpr std::string_view kPath = "channels.ring_bytes";
  metadata.channels.huge_pages = channels.huge_pages();
  metadata.channels.durable = channels.durable();
  if (channels.ring_bytes().empty() && !source.has(kPath)) return {};
  const auto wish = parse_bytes(channels.ring_bytes());
  if (!wish || *wish < model::kSmallestRing || *wish > model::kLargestRing)
    return not_allowed(source, kPath, channels.ring_bytes(),
                       "from \"16 KiB\" to \"1 GiB\" (it is rounded up to a power of two)");
  metadata.channels.ring = Bytes{std::bit_ceil(wish->count)};
  if (metadata.channels.ring > mib(metadata.limits.max_memory_mb))
    return not_allowed(source, kPath, channels.ring_bytes(),
                       fmt::format("at most limits.max_memory_mb, {} MiB here: an unread message "
                                   "is its sender's memory",
                                   metadata.limits.max_memory_mb));
  return {};
}

struct RestartRow {
  std::string_view name;
  bool (v1::Restart::*has)() const;
  std::uint32_t (v1::Restart::*get)() const;
  std::uint32_t min;
  std::uint32_t max;
};
constexpr RestartRow kRestartRows[] = {
    {"backoff_ms", &v1::Restart::has_backoff_ms, &v1::Restart::backoff_ms, 0, 3'600'000},
    {"limit", &v1::Restart::has_limit, &v1::Restart::limit, 1, 1'000'000},
    {"dead_letter_after", &v1::Restart::has_dead_letter_after, &v1::Restart::dead_letter_after, 1,
     1000},
};

Result<> fill_restart(const v1::Restart& restart, const Source& source, Metadata& metadata) {
  for (const RestartRow& row : kRestartRows) {
    if (!(restart.*row.has)()) continue;
    const std::string path = fmt::format("restart.{}", row.name);
    const std::uint32_t value = (restart.*row.get)();
    if (!restart.on_crash())
      return fail(Code::Invalid, "{}{} means nothing without on_crash = true under [restart]",
                  source.at(path), path);
    if (value < row.min || value > row.max)
      return fail(Code::Invalid, "{}{} = {}: it must be from {} to {}", source.at(path), path,
                  value, row.min, row.max);
  }
  model::RestartPolicy& policy = metadata.restart;
  policy.on_crash = restart.on_crash();
  if (restart.has_backoff_ms()) policy.backoff = std::chrono::milliseconds(restart.backoff_ms());
  if (restart.has_limit()) policy.limit = restart.limit();
  if (restart.has_dead_letter_after()) policy.dead_letter_after = restart.dead_letter_after();
  return {};
}

} // namespace

Result<Metadata> check_manifest(const v1::PluginManifest& manifest, const Source& source) {
  Metadata metadata;
  TRY(fill_identity(manifest, source, metadata));
  TRY(fill_dependencies(manifest, source, metadata));
  TRY(fill_platform(manifest.platform(), source, metadata));
  metadata.capabilities = capabilities_of(manifest.capabilities());
  TRY(fill_config(manifest, source, metadata));
  TRY(fill_acl(manifest, source, metadata));
  TRY(fill_limits(manifest.limits(), source, metadata));
  TRY(fill_events(manifest, source, metadata));
  TRY(fill_channels(manifest.channels(), source, metadata));
  TRY(fill_restart(manifest.restart(), source, metadata));
  if (!manifest.min_sandbox_level().empty()) {
    const auto level = model::parse_level(manifest.min_sandbox_level());
    if (!level)
      return not_allowed(source, "min_sandbox_level", manifest.min_sandbox_level(), "L1, L2 or L3");
    metadata.min_sandbox_level = *level;
  }
  return metadata;
}

} // namespace mohhos::security
