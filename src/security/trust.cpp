#include "security/trust.hpp"

#include <array>
#include <optional>

#include "mohhos/v1/policy.pb.h"

#include "security/checks.hpp"
#include "security/manifest.hpp"
#include "security/trusted_file.hpp"

namespace mohhos::security {
namespace {

using model::Capability;
using model::CapabilitySet;
using model::TrustLevel;

constexpr Bytes kLargestTrustFile = kib(256);

constexpr CapabilitySet set_of(std::initializer_list<Capability> capabilities,
                               std::uint32_t custom) {
  CapabilitySet set{.custom = custom};
  for (const Capability capability : capabilities) set.add(capability);
  return set;
}

struct Row {
  TrustLevel level;
  std::string_view name;
  CapabilitySet ceiling;
};
constexpr std::uint32_t kAllCustom = 0xFFFFFFFFU;
constexpr std::array kLevels = {
    Row{TrustLevel::None, "none", {}},
    Row{TrustLevel::Community, "community",
        set_of({Capability::Filesystem, Capability::AiEngine}, kAllCustom)},
    Row{TrustLevel::Verified, "verified",
        set_of({Capability::Filesystem, Capability::AiEngine, Capability::CreateProcesses,
                Capability::Hardware},
               kAllCustom)},
    Row{TrustLevel::System, "system", model::kAllCapabilities},
};

constexpr bool rows_in_order() {
  for (std::size_t i = 0; i < kLevels.size(); ++i)
    if (kLevels[i].level != static_cast<TrustLevel>(i)) return false;
  return kLevels.size() == static_cast<std::size_t>(TrustLevel::System) + 1;
}
static_assert(rows_in_order(), "every level has its row, in the order of the enum");

std::optional<TrustLevel> parse_level(std::string_view text) {
  for (const Row& row : kLevels)
    if (row.name == text) return row.level;
  return std::nullopt;
}

Result<CapabilitySet> ceiling_of(const v1::KeyEntry& entry, TrustLevel level, const Source& source,
                                 const std::string& path) {
  CapabilitySet ceiling = default_ceiling(level);
  if (source.has(path + ".ceiling")) ceiling.bits = 0;
  for (int i = 0; i < entry.ceiling_size(); ++i) {
    const auto capability = model::parse_capability(entry.ceiling(i));
    if (!capability)
      return not_allowed(source, fmt::format("{}.ceiling[{}]", path, i), entry.ceiling(i),
                         "one of " + capability_names());
    ceiling.add(*capability);
  }
  if (entry.has_custom()) ceiling.custom = entry.custom();
  return ceiling;
}

// A name, or the beginning of one and '*'.
bool is_name_pattern(std::string_view text) {
  if (text == "*") return true;
  return model::is_plugin_name(text.ends_with('*') ? text.substr(0, text.size() - 1) : text);
}

Result<KeyTrust> read_entry(const v1::KeyEntry& entry, const KeyId& id, const Source& source,
                            const std::string& path) {
  KeyTrust trust{
      .id = id, .level = TrustLevel::Community, .ceiling = {}, .names = {}, .key = entry.key()};
  if (!entry.level().empty()) {
    const auto level = parse_level(entry.level());
    if (!level)
      return not_allowed(source, path + ".level", entry.level(),
                         "none, community, verified or system");
    trust.level = *level;
  }
  TRY(trust.ceiling, ceiling_of(entry, trust.level, source, path));
  for (int i = 0; i < entry.names_size(); ++i)
    if (!is_name_pattern(entry.names(i)))
      return not_allowed(source, fmt::format("{}.names[{}]", path, i), entry.names(i),
                         "a plugin's name, or the beginning of one and '*'");
  trust.names.assign(entry.names().begin(), entry.names().end());
  if (entry.key().empty()) return trust;
  const auto pinned = parse_public_key(entry.key());
  if (!pinned)
    return not_allowed(source, path + ".key", entry.key(), "the second line of a .pub file");
  if (pinned->id != id)
    return not_allowed(source, path + ".key", entry.key(),
                       fmt::format("a key of this id; it has {}", to_string(pinned->id)));
  return trust;
}

} // namespace

Result<Trust> parse_trust(std::string_view text, const std::filesystem::path& file) {
  v1::TrustFile message;
  TRY(const Source source, parse_toml(text, file.native(), kLargestTrustFile, message));
  Trust trust{.file = file, .entries = {}};
  for (const auto& [name, entry] : message.keys()) {
    const std::string path = "keys." + name;
    const auto id = parse_key_id(name);
    if (!id) return fail(Code::Invalid, "{}{}", source.at(path), id.error().text);
    TRY(KeyTrust read, read_entry(entry, *id, source, path));
    if (!trust.entries.emplace(*id, std::move(read)).second)
      return fail(Code::Invalid, "{}key {} has two entries", source.at(path), to_string(*id));
  }
  return trust;
}

Result<Trust> read_trust(const std::filesystem::path& file) {
  const auto text = read_trusted_file(file, kLargestTrustFile);
  if (text) return parse_trust(*text, file);
  if (text.error().code == Code::NotFound) return Trust{.file = file, .entries = {}};
  return std::unexpected(text.error());
}

Result<KeyTrust> Trust::of(const PublicKey& key) const {
  const auto entry = entries.find(key.id);
  if (entry == entries.end())
    return KeyTrust{.id = key.id,
                    .level = TrustLevel::Community,
                    .ceiling = default_ceiling(TrustLevel::Community),
                    .names = {},
                    .key = {}};
  const KeyTrust& trust = entry->second;
  if (!trust.key.empty() && trust.key != encode_public_key(key))
    return fail(Code::Untrusted, "{} means another key of the id {} than the one in the keyring",
                file.native(), to_string(key.id));
  if (trust.level == TrustLevel::None)
    return fail(Code::Untrusted, "key {} is not trusted any more: {} gives it the level none",
                to_string(key.id), file.native());
  return trust;
}

CapabilitySet default_ceiling(TrustLevel level) {
  const auto index = static_cast<std::size_t>(level);
  return index < kLevels.size() ? kLevels[index].ceiling : CapabilitySet{};
}

std::string_view trust_name(TrustLevel level) noexcept {
  const auto index = static_cast<std::size_t>(level);
  return index < kLevels.size() ? kLevels[index].name : "unknown";
}

} // namespace mohhos::security
