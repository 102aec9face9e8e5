// Who may send to whom: both sides' ACLs must agree, and AI models ask for a capability besides.
#include <algorithm>

#include "ipc/broker.hpp"

namespace mohhos::ipc {
namespace {

bool is_application(const Party& party) {
  return !party.type.has_value();
}

// An entry of send_to or receive_from: a name, "type:<plugin type>", "application" or "*".
bool matches(std::string_view entry, const Party& party) {
  if (entry == "*") return true;
  if (is_application(party)) return entry == "application";
  if (entry.starts_with("type:")) return entry.substr(5) == model::type_name(*party.type);
  return entry == party.name;
}

bool any_matches(const std::vector<std::string>& entries, const Party& party) {
  return std::ranges::any_of(entries,
                             [&](const std::string& entry) { return matches(entry, party); });
}

std::string_view entry_for(const Party& party) {
  return is_application(party) ? std::string_view("application") : std::string_view(party.name);
}

} // namespace

Result<> may_send(const Party& from, const Party& to) {
  if (from.id == to.id)
    return fail(Code::Invalid,
                "{} asks for a channel to itself: nobody would read it while it waits", from.name);
  if (is_application(from) && is_application(to))
    return fail(Code::Denied, "applications talk to plugins, not to each other");
  if (!from.delivers_to.empty() && from.delivers_to == to.name) return {};
  if (!is_application(from) && !any_matches(from.acl.send_to, to))
    return fail(Code::Denied,
                "{} may not send to {}: add \"{}\" to send_to under [acl] in {}'s plugin.toml",
                from.name, to.name, entry_for(to), from.name);
  if (!is_application(to) && !any_matches(to.acl.receive_from, from))
    return fail(
        Code::Denied,
        "{} does not receive from {}: add \"{}\" to receive_from under [acl] in {}'s plugin.toml",
        to.name, from.name, entry_for(from), to.name);
  if (to.type == model::PluginType::AiModel && !from.capabilities.has(model::Capability::AiEngine))
    return fail(Code::Denied, "{} is an AI model, and {} was not granted can_access_ai_engine",
                to.name, from.name);
  return {};
}

} // namespace mohhos::ipc
