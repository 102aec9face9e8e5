// The broker's groups: who is of a type, who subscribed to an event, and whether the event exists.
#include <algorithm>

#include "ipc/broker.hpp"

namespace mohhos::ipc {
namespace {

Error undeclared(Code code, const Party& publisher, std::uint32_t event) {
  std::string declared;
  for (const auto& [number, loss] : *publisher.events) {
    if (!declared.empty()) declared += ", ";
    declared += std::to_string(number);
  }
  return {code, fmt::format("{} does not publish event {}: [events] in its plugin.toml has {}",
                            publisher.name, event, declared.empty() ? "none" : declared)};
}

} // namespace

std::vector<const Broker::Member*> Broker::group_members(PluginId asker,
                                                         const OpenGroup& request) const {
  std::vector<const Member*> group;
  for (const auto& [id, candidate] : members_) {
    if (id == asker) continue; // who is lost() belongs to it: what is sent waits in its ring
    bool belongs = false;
    if (request.kind == GroupKind::PluginsOfType) {
      belongs = candidate.party.type &&
                static_cast<std::uint32_t>(*candidate.party.type) == request.value;
    } else if (const auto wishes = subscriptions_.find(id); wishes != subscriptions_.end()) {
      belongs = wishes->second.contains({0, request.value}) ||
                wishes->second.contains({asker.value, request.value});
    }
    if (belongs) group.push_back(&candidate);
  }
  return group;
}

Plan Broker::open_group(PluginId asker, const OpenGroup& request) {
  Plan plan;
  Member* const self = member(asker);
  if (self == nullptr) return plan;
  GroupReady ready;
  ready.header.sequence = request.header.sequence;
  ready.kind = request.kind;
  ready.value = request.value;
  auto loss = model::Lossiness::None;
  if (request.kind == GroupKind::SubscribersOfEvent && self->party.events) {
    const auto declared = self->party.events->find(request.value);
    if (declared == self->party.events->end()) {
      plan.deliveries.push_back(refusal(asker, request.header.sequence,
                                        undeclared(Code::Denied, self->party, request.value)));
      return plan;
    }
    loss = declared->second;
  }
  const Lane lane = loss == model::Lossiness::Oldest ? Lane::Lossy : Lane::Normal;
  for (const Member* const target : group_members(asker, request)) {
    Channel* channel = nullptr;
    if (ready.count < kGroupMax && may_send(self->party, target->party))
      channel = obtain(self->party, target->party, lane, request.header, 0, plan).value_or(nullptr);
    if (channel == nullptr) {
      ++ready.refused;
      continue;
    }
    if (!channel->receiver_told && target->present)
      deliver_opened(*channel, Role::Receive, 0, plan);
    if (!channel->sender_told) deliver_opened(*channel, Role::Send, 0, plan);
    ready.losses[ready.count] = static_cast<std::uint8_t>(loss);
    ready.channels[ready.count++] = channel->record.channel;
  }
  self->groups_known = true;
  plan.deliveries.push_back({asker, ready, {}});
  return plan;
}

// An event that nobody here has declared would never come: a wrong number, most likely.
Result<> Broker::check_event(const Party& asker, std::uint64_t publisher,
                             std::uint32_t event) const {
  if (publisher != 0) {
    const auto found = members_.find(PluginId{publisher});
    if (found == members_.end())
      return fail(Code::NotFound, "{} asks for events of plugin {}, which is not loaded",
                  asker.name, publisher);
    const Party& party = found->second.party;
    if (party.events && !party.events->contains(event))
      return std::unexpected(undeclared(Code::NotFound, party, event));
    return {};
  }
  for (const auto& [id, candidate] : members_) {
    const Party& party = candidate.party;
    if (party.type && (!party.events || party.events->contains(event))) return {};
  }
  return fail(Code::NotFound,
              "no plugin that is loaded has event {} under [events] in its plugin.toml", event);
}

Plan Broker::subscribe(PluginId asker, const Subscribe& request) {
  Plan plan;
  const Member* const self = member(asker);
  if (self == nullptr) return plan;
  const auto refuse = [&](const Error& why) {
    plan.deliveries.push_back(refusal(asker, request.header.sequence, why));
  };
  for (std::uint32_t i = 0; i < request.count; ++i)
    if (auto known = check_event(self->party, request.publisher_id, request.events[i]); !known) {
      refuse(known.error());
      return plan;
    }
  std::set<Subscription>& wishes = subscriptions_[asker];
  if (wishes.size() + request.count > limits_.subscriptions_per_party) {
    refuse({Code::Exhausted,
            fmt::format("{} subscriptions, and {} is the limit", wishes.size() + request.count,
                        limits_.subscriptions_per_party)});
    return plan;
  }
  for (std::uint32_t i = 0; i < request.count; ++i)
    plan.changed |= wishes.emplace(request.publisher_id, request.events[i]).second;
  if (plan.changed) deliver_stale(plan, PluginId{request.publisher_id});
  Subscribed done;
  done.header.sequence = request.header.sequence;
  plan.deliveries.push_back({asker, done, {}});
  return plan;
}

} // namespace mohhos::ipc
