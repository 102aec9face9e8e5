#include "ipc/broker.hpp"

#include <algorithm>

#include "ipc/link_codec.hpp"

namespace mohhos::ipc {
namespace {

constexpr std::uint32_t kNoType = 0xFFFFFFFFU; // ChannelOpened::peer_type of an application

Delivery refusal(PluginId to, std::uint32_t sequence, const Error& why) {
  ChannelRefused record;
  record.header.sequence = sequence;
  record.code = static_cast<std::int32_t>(why.code);
  put_text(record.text, why.text);
  return {to, record, {}};
}

} // namespace

// --- small steps ---

Broker::Member* Broker::member(PluginId id) {
  const auto found = members_.find(id);
  return found == members_.end() ? nullptr : &found->second;
}

const Broker::Member* Broker::find_target(const OpenChannel& request) const {
  if (request.target_id != 0) {
    const auto found = members_.find(PluginId{request.target_id});
    return found == members_.end() ? nullptr : &found->second;
  }
  const std::string_view name = request.target_name;
  for (const auto& [id, candidate] : members_)
    if (candidate.party.type && candidate.party.name == name) return &candidate;
  return nullptr;
}

Broker::Channel* Broker::channel_of(PluginId sender, PluginId receiver) {
  const auto found = by_ends_.find({sender, receiver});
  return found == by_ends_.end() ? nullptr : &channels_.at(found->second);
}

// 0: allowed. 1: for responses only, because the other side may ask.
Result<std::uint32_t> Broker::allow(const Party& from, const Party& to) {
  auto allowed = may_send(from, to);
  if (allowed) return 0U;
  const Channel* const requests = channel_of(to.id, from.id);
  if (requests != nullptr && requests->record.reply_only == 0) return 1U;
  return std::unexpected(std::move(allowed).error());
}

Result<> Broker::within_limits(PluginId sender, PluginId receiver, std::uint64_t ring_bytes) const {
  std::uint32_t of_sender = 0;
  std::uint32_t of_receiver = 0;
  std::uint64_t bytes = ring_bytes;
  for (const auto& [id, channel] : channels_) {
    const PluginId from{channel.record.sender};
    const PluginId to{channel.record.receiver};
    if (from == sender || to == sender) ++of_sender;
    if (from == receiver || to == receiver) ++of_receiver;
    if (from == sender) bytes += channel.record.ring_bytes;
  }
  if (of_sender >= limits_.channels_per_party || of_receiver >= limits_.channels_per_party)
    return fail(Code::Exhausted, "{} has {} channels already, and that is the limit",
                of_sender >= limits_.channels_per_party ? "the sender" : "the receiver",
                limits_.channels_per_party);
  if (bytes > limits_.ring_bytes_per_party)
    return fail(Code::Exhausted, "its rings would take {} bytes, and the limit is {}", bytes,
                limits_.ring_bytes_per_party);
  return {};
}

// The channel from one to the other: the one that is there, or a new one if that is allowed.
Result<Broker::Channel*> Broker::obtain(const Party& from, const Party& to,
                                        const LinkHeader& request, std::uint64_t ring_bytes,
                                        Plan& plan) {
  if (Channel* const existing = channel_of(from.id, to.id)) return existing;
  TRY(const std::uint32_t reply_only, allow(from, to));
  const std::uint64_t size = ring_bytes == 0 ? limits_.default_ring : ring_bytes;
  if (!is_ring_size(size) || size > limits_.largest_ring)
    return fail(Code::Invalid, "a ring of {} bytes; a power of two from {} to {} is possible", size,
                kMinRing, limits_.largest_ring);
  TRY(within_limits(from.id, to.id, size));
  const std::uint64_t id = next_channel_++;
  const ChannelRecord record{.channel = id,
                             .sender = from.id.value,
                             .receiver = to.id.value,
                             .ring_bytes = size,
                             .reply_only = reply_only};
  by_ends_[{from.id, to.id}] = id;
  plan.make.push_back(record);
  plan.changed = true;
  return &(channels_[id] = Channel{.record = record, .sequence = request.sequence});
}

void Broker::deliver_opened(Channel& channel, Role role, std::uint32_t sequence, Plan& plan) {
  const PluginId to{role == Role::Send ? channel.record.sender : channel.record.receiver};
  const PluginId peer{role == Role::Send ? channel.record.receiver : channel.record.sender};
  const Member* const other = member(peer);
  if (role == Role::Receive) channel.receiver_told = true;
  ChannelOpened record;
  record.header.sequence = sequence;
  record.channel_id = channel.record.channel;
  record.peer_id = peer.value;
  record.ring_bytes = channel.record.ring_bytes;
  record.role = role;
  record.ring_generation = channel.record.ring_generation;
  record.reply_only = channel.record.reply_only;
  record.peer_type = kNoType;
  if (other != nullptr) {
    if (other->party.type) record.peer_type = static_cast<std::uint32_t>(*other->party.type);
    record.peer_generation = other->party.generation.value;
    put_text(record.peer_name, other->party.name);
  }
  plan.deliveries.push_back({to, record, ChannelId{channel.record.channel}});
}

void Broker::deliver_closed(const ChannelRecord& channel, PluginId to, CloseReason reason,
                            Plan& plan) {
  const Member* const whom = member(to);
  if (whom == nullptr || !whom->present) return;
  ChannelClosed record;
  record.channel_id = channel.channel;
  record.reason = reason;
  plan.deliveries.push_back({to, record, {}});
}

void Broker::deliver_stale(Plan& plan) {
  for (auto& [id, whom] : members_) {
    if (!whom.present || !whom.groups_known) continue;
    whom.groups_known = false;
    plan.deliveries.push_back({id, GroupStale{}, {}});
  }
}

// Both ends but `silent` are told.
void Broker::end_channel(std::uint64_t id, PluginId silent, CloseReason reason, Plan& plan) {
  const auto found = channels_.find(id);
  if (found == channels_.end()) return;
  const ChannelRecord record = found->second.record;
  for (const PluginId end : {PluginId{record.sender}, PluginId{record.receiver}})
    if (end != silent) deliver_closed(record, end, reason, plan);
  by_ends_.erase({PluginId{record.sender}, PluginId{record.receiver}});
  channels_.erase(found);
  plan.drop.push_back(ChannelId{id});
  plan.changed = true;
}

// --- who is there ---

Plan Broker::join(Party party) {
  Plan plan;
  const PluginId id = party.id;
  const auto [found, is_new] = members_.try_emplace(id);
  Member& self = found->second;
  const bool successor = !is_new && party.generation > self.party.generation;
  const bool peers_know = !is_new && !self.present; // lost() told them
  const bool newcomer = is_new || !self.present;
  self.party = std::move(party);
  self.present = true;
  for (auto& [number, channel] : channels_) {
    const bool sends = channel.record.sender == id.value;
    if (!sends && channel.record.receiver != id.value) continue;
    if (successor) {
      if (sends) ++channel.record.ring_generation;
      const PluginId peer{sends ? channel.record.receiver : channel.record.sender};
      if (!peers_know) deliver_closed(channel.record, peer, CloseReason::PeerRestarted, plan);
      plan.changed = true;
    }
    if (!sends) deliver_opened(channel, Role::Receive, 0, plan);
  }
  if (newcomer) deliver_stale(plan);
  return plan;
}

Plan Broker::lost(PluginId party) {
  Plan plan;
  Member* const self = member(party);
  if (self == nullptr || !self->present) return plan;
  self->present = false;
  self->groups_known = false;
  for (const auto& [number, channel] : channels_) {
    const bool sends = channel.record.sender == party.value;
    if (!sends && channel.record.receiver != party.value) continue;
    const PluginId peer{sends ? channel.record.receiver : channel.record.sender};
    deliver_closed(channel.record, peer, CloseReason::PeerRestarted, plan);
  }
  return plan;
}

Plan Broker::leave(PluginId party) {
  Plan plan;
  for (const ChannelRecord& channel : channels())
    if (channel.sender == party.value || channel.receiver == party.value)
      end_channel(channel.channel, party, CloseReason::PeerGone, plan);
  plan.changed |= subscriptions_.erase(party) != 0;
  if (members_.erase(party) != 0) deliver_stale(plan);
  return plan;
}

Plan Broker::regrant(PluginId party, model::CapabilitySet capabilities, model::Acl acl) {
  Plan plan;
  Member* const self = member(party);
  if (self == nullptr) return plan;
  self->party.capabilities = capabilities;
  self->party.acl = std::move(acl);
  // Requests before replies: a channel for replies stands or falls with the one that asks.
  for (const std::uint32_t reply_only : {0U, 1U}) {
    for (const ChannelRecord& channel : channels()) {
      if (channel.reply_only != reply_only) continue;
      if (channel.sender != party.value && channel.receiver != party.value) continue;
      const Member* const from = member(PluginId{channel.sender});
      const Member* const to = member(PluginId{channel.receiver});
      if (from == nullptr || to == nullptr) continue;
      const auto allowed = allow(from->party, to->party);
      if (!allowed || (*allowed == 1 && channel.reply_only == 0))
        end_channel(channel.channel, {}, CloseReason::Revoked, plan);
    }
  }
  deliver_stale(plan);
  return plan;
}

// --- what endpoints ask ---

Plan Broker::open(PluginId asker, const OpenChannel& request) {
  Plan plan;
  const Member* const self = member(asker);
  if (self == nullptr) return plan;
  const Member* const target = find_target(request);
  if (target == nullptr) {
    const std::string whom = request.target_id != 0 ? fmt::format("with id {}", request.target_id)
                                                    : fmt::format("named {}", request.target_name);
    plan.deliveries.push_back(
        refusal(asker, request.header.sequence,
                {Code::NotFound, fmt::format("no plugin {} is loaded", whom)}));
    return plan;
  }
  auto channel = obtain(self->party, target->party, request.header, request.ring_bytes, plan);
  if (!channel) {
    plan.deliveries.push_back(refusal(asker, request.header.sequence, channel.error()));
    return plan;
  }
  if (!(*channel)->receiver_told && target->present)
    deliver_opened(**channel, Role::Receive, 0, plan);
  deliver_opened(**channel, Role::Send, request.header.sequence, plan);
  return plan;
}

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
  for (const Member* const target : group_members(asker, request)) {
    Channel* channel = channel_of(asker, target->party.id);
    const bool usable = channel != nullptr ? channel->record.reply_only == 0
                                           : may_send(self->party, target->party).has_value();
    if (usable && channel == nullptr && ready.count < kGroupMax)
      channel = obtain(self->party, target->party, request.header, 0, plan).value_or(nullptr);
    if (!usable || channel == nullptr || ready.count == kGroupMax) {
      ++ready.refused;
      continue;
    }
    if (!channel->receiver_told && target->present)
      deliver_opened(*channel, Role::Receive, 0, plan);
    deliver_opened(*channel, Role::Send, 0, plan);
    ready.channels[ready.count++] = channel->record.channel;
  }
  self->groups_known = true;
  plan.deliveries.push_back({asker, ready, {}});
  return plan;
}

Plan Broker::subscribe(PluginId asker, const Subscribe& request) {
  Plan plan;
  if (member(asker) == nullptr) return plan;
  std::set<Subscription>& wishes = subscriptions_[asker];
  for (std::uint32_t i = 0; i < request.count; ++i) {
    if (wishes.size() >= limits_.subscriptions_per_party) {
      plan.deliveries.push_back(
          refusal(asker, request.header.sequence,
                  {Code::Exhausted,
                   fmt::format("{} subscriptions, and that is the limit", wishes.size())}));
      break;
    }
    plan.changed |= wishes.emplace(request.publisher_id, request.events[i]).second;
  }
  if (plan.changed) deliver_stale(plan);
  return plan;
}

Plan Broker::close(PluginId asker, const CloseChannel& request) {
  Plan plan;
  const auto channel = find(ChannelId{request.channel_id});
  if (!channel || (channel->sender != asker.value && channel->receiver != asker.value)) return plan;
  const CloseReason reason =
      request.reason == CloseReason::Broken ? CloseReason::Broken : CloseReason::PeerGone;
  end_channel(request.channel_id, asker, reason, plan);
  deliver_stale(plan);
  return plan;
}

Plan Broker::undo(ChannelId channel, const Error& why) {
  Plan plan;
  const auto found = channels_.find(channel.value);
  if (found == channels_.end()) return plan;
  const PluginId asker{found->second.record.sender};
  plan.deliveries.push_back(refusal(asker, found->second.sequence, why));
  by_ends_.erase({asker, PluginId{found->second.record.receiver}});
  channels_.erase(found);
  plan.changed = true;
  return plan;
}

// --- questions ---

std::optional<ChannelRecord> Broker::find(ChannelId channel) const {
  const auto found = channels_.find(channel.value);
  if (found == channels_.end()) return std::nullopt;
  return found->second.record;
}

std::vector<ChannelRecord> Broker::channels() const {
  std::vector<ChannelRecord> records;
  for (const auto& [id, channel] : channels_) records.push_back(channel.record);
  return records;
}

} // namespace mohhos::ipc
