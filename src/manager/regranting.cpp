// SIGHUP: the operator's files say now what plugins may have that run already.
//
// A right that no wall stands for is asked for each time, of the broker (can_access_ai_engine) or
// of us (custom ones): that one goes at once, and with it the channels that need it, and comes back
// as well. Walls cannot be raised around a process that runs: what they let through stays until the
// next load, and the log names it. Whom it may send to is in its signed manifest and in no file of
// the operator's.
#include <algorithm>

#include <spdlog/spdlog.h>

#include "manager/parts.hpp"
#include "security/policy.hpp"
#include "security/trust.hpp"

namespace mohhos::manager {
namespace {

using model::CapabilitySet;

constexpr CapabilitySet kOfWalls = {
    .bits = static_cast<std::uint8_t>(model::kAllCapabilities.bits &
                                      ~(1U << static_cast<unsigned>(model::Capability::AiEngine))),
    .custom = 0};

constexpr CapabilitySet without(CapabilitySet set, CapabilitySet other) {
  return {.bits = static_cast<std::uint8_t>(set.bits & ~other.bits),
          .custom = set.custom & ~other.custom};
}

std::string names_of(CapabilitySet set) {
  std::string names;
  for (const model::Capability each : model::kCapabilities)
    if (set.has(each))
      names += fmt::format("{}{}", names.empty() ? "" : ", ", model::capability_name(each));
  return names;
}

} // namespace

// What it would get now of what it asks for; nothing of a key that is not trusted any more. An
// error: nobody can say, for a file of the operator's cannot be relied on.
Result<CapabilitySet> Manager::Parts::allowed_now(const Plugin& plugin) {
  TRY(keyring.refresh());
  TRY(const security::Trust trust, security::read_trust(setup.paths.trust()));
  TRY(const security::OperatorPolicy policy,
      security::read_policy(setup.paths.grants(), plugin.info.metadata.name));
  TRY(const security::KeyId signer, security::parse_key_id(plugin.info.signer));
  const auto key = keyring.find(signer);
  const auto trusted = key ? trust.of(*key) : std::unexpected(key.error());
  if (!trusted) return CapabilitySet{};
  return plugin.info.metadata.capabilities & trusted->ceiling & policy.capabilities;
}

void Manager::Parts::regrant(Plugin& plugin) {
  const std::string& name = plugin.info.metadata.name;
  const auto allowed = allowed_now(plugin);
  if (!allowed)
    return spdlog::error("the rights of {} stay as they are: {}", name, allowed.error().text);
  const CapabilitySet stays = plugin.info.grant.capabilities & kOfWalls;
  if (const CapabilitySet beyond = without(stays, *allowed); beyond != CapabilitySet{})
    spdlog::warn("{} keeps {} until it is loaded again: unload it to take that from it now", name,
                 names_of(beyond));
  const CapabilitySet loose = without(*allowed, kOfWalls);
  const CapabilitySet now = {.bits = static_cast<std::uint8_t>(stays.bits | loose.bits),
                             .custom = loose.custom};
  if (now == plugin.info.grant.capabilities) return;
  plugin.info.grant.capabilities = now;
  save(plugin);
  audit.append("regrant", {{"plugin", std::string_view(name)},
                           {"id", plugin.info.id.value},
                           {"capabilities", std::uint64_t{now.bits}},
                           {"custom", std::uint64_t{now.custom}}});
  spdlog::info("{} has other rights now", name);
  execute(broker.regrant(plugin.info.id, now, plugin.info.grant.acl));
}

} // namespace mohhos::manager
