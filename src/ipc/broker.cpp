#include "ipc/broker.hpp"

#include <algorithm>
#include <array>
#include <bit>

#include "ipc/link_codec.hpp"

namespace mohhos::ipc {
namespace {

constexpr std::array kRequestLanes = {Lane::Normal, Lane::High, Lane::Urgent, Lane::Low};
constexpr std::uint64_t kLaterRings = 64; // find room in what the first ones leave, of each size
constexpr std::uint32_t kNoType = 0xFFFFFFFFU; // ChannelOpened::peer_type of an application

} // namespace

Delivery refusal(PluginId to, std::uint32_t sequence, const Error& why) {
  ChannelRefused record;
  record.header.sequence = sequence;
  record.code = static_cast<std::int32_t>(why.code);
  put_text(record.text, why.text);
  return {to, record, {}};
}

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

Broker::Channel* Broker::channel_of(PluginId sender, PluginId receiver, Lane lane) {
  const auto found = by_ends_.find({sender, receiver, lane});
  return found == by_ends_.end() ? nullptr : &channels_.at(found->second);
}

// Responses may flow where the other side may ask.
Result<> Broker::allow(const Party& from, const Party& to, Lane lane) {
  if (lane != Lane::Reply) return may_send(from, to);
  for (const Lane request : kRequestLanes)
    if (channel_of(to.id, from.id, request) != nullptr) return {};
  return fail(Code::Denied, "{} has not asked {} anything", to.name, from.name);
}

bool Broker::is_program(PluginId id) const {
  const auto found = members_.find(id);
  return found != members_.end() && !found->second.party.type;
}

// Two of the size that is asked for find room, whatever the limit.
std::uint64_t Broker::most_ring_bytes(const Party& sender) const {
  const std::uint64_t usual = sender.ring_bytes != 0 ? sender.ring_bytes : limits_.default_ring;
  return std::max(limits_.ring_bytes_per_party, 2 * usual);
}

std::uint64_t Broker::ring_bytes_of(PluginId sender) const {
  std::uint64_t bytes = 0;
  for (const auto& [id, channel] : channels_)
    if (PluginId{channel.record.sender} == sender) bytes += channel.record.ring_bytes;
  return bytes;
}

// Where a sender has many, the next ones are smaller, so that there is room for as many as it may
// have.
std::uint64_t Broker::usual_ring(const Party& sender) const {
  if (sender.ring_bytes != 0) return sender.ring_bytes;
  const std::uint64_t bytes = ring_bytes_of(sender.id);
  const std::uint64_t most = most_ring_bytes(sender);
  if (bytes + limits_.default_ring <= most / 2) return limits_.default_ring;
  const std::uint64_t share = std::bit_floor((most - std::min(bytes, most)) / kLaterRings);
  return std::clamp(share, kMinRing, std::max(limits_.default_ring, kMinRing));
}

Result<> Broker::within_limits(const Party& sender, PluginId receiver,
                               std::uint64_t ring_bytes) const {
  const auto openings = openings_.find({sender.id, receiver});
  if (openings != openings_.end() && openings->second >= limits_.openings_per_pair)
    return fail(Code::Exhausted,
                "{} has opened {} channels to the same receiver in a short time; wait a moment",
                sender.name, openings->second);
  if (channels_.size() >= limits_.channels)
    return fail(Code::Exhausted, "{} channels are open, and mohhosd has descriptors for no more",
                channels_.size());
  std::uint32_t of_sender = 0;
  std::uint32_t of_receiver = 0;
  std::uint32_t of_programs = 0; // to the receiver
  const std::uint64_t bytes = ring_bytes + ring_bytes_of(sender.id);
  for (const auto& [id, channel] : channels_) {
    const PluginId from{channel.record.sender};
    const PluginId to{channel.record.receiver};
    if (from == sender.id || to == sender.id) ++of_sender;
    if (from == receiver || to == receiver) ++of_receiver;
    if (to == receiver && is_program(from)) ++of_programs;
  }
  if (of_sender >= limits_.channels_per_party || of_receiver >= limits_.channels_per_party)
    return fail(Code::Exhausted, "{} has {} channels already, and that is the limit",
                of_sender >= limits_.channels_per_party ? "the sender" : "the receiver",
                limits_.channels_per_party);
  // Programs are many and anybody's; they leave room for plugins.
  if (is_program(sender.id) && of_programs >= limits_.channels_per_party / 2)
    return fail(Code::Exhausted,
                "the receiver has {} channels from programs, and that is the limit", of_programs);
  const std::uint64_t most = most_ring_bytes(sender);
  if (bytes > most)
    return fail(Code::Exhausted, "its rings would take {} bytes, and the limit is {}", bytes, most);
  return {};
}

// The channel from one to the other: the one that is there, or a new one if that is allowed.
Result<Broker::Channel*> Broker::obtain(const Party& from, const Party& to, Lane lane,
                                        const LinkHeader& request, std::uint64_t ring_bytes,
                                        Plan& plan) {
  if (Channel* const existing = channel_of(from.id, to.id, lane)) return existing;
  if (lane != Lane::Tap) TRY(allow(from, to, lane));
  const bool usual = ring_bytes == 0 && from.ring_bytes == 0;
  const std::uint64_t size = ring_bytes == 0 ? usual_ring(from) : ring_bytes;
  const std::uint64_t largest = std::max(limits_.largest_ring, from.ring_bytes);
  if (!is_ring_size(size) || size > largest)
    return fail(Code::Invalid, "a ring of {} bytes; a power of two from {} to {} is possible", size,
                kMinRing, largest);
  TRY(within_limits(from, to.id, size));
  const std::uint64_t id = next_channel_++;
  const ChannelRecord record{.channel = id,
                             .sender = from.id.value,
                             .receiver = to.id.value,
                             .ring_bytes = size,
                             .lane = lane,
                             .lap = usual ? kShortLap : 0};
  by_ends_[{from.id, to.id, lane}] = id;
  ++openings_[{from.id, to.id}];
  plan.make.push_back(record);
  plan.changed = true;
  return &(channels_[id] = Channel{.record = record, .sequence = request.sequence});
}

void Broker::deliver_opened(Channel& channel, Role role, std::uint32_t sequence, Plan& plan) {
  const PluginId to{role == Role::Send ? channel.record.sender : channel.record.receiver};
  const PluginId peer{role == Role::Send ? channel.record.receiver : channel.record.sender};
  const Member* const other = member(peer);
  (role == Role::Receive ? channel.receiver_told : channel.sender_told) = true;
  ChannelOpened record;
  record.header.sequence = sequence;
  record.channel_id = channel.record.channel;
  record.peer_id = peer.value;
  record.ring_bytes = channel.record.ring_bytes;
  record.role = role;
  record.ring_generation = channel.record.ring_generation;
  record.lane = channel.record.lane;
  record.peer_type = kNoType;
  if (other != nullptr) {
    if (other->party.type) record.peer_type = static_cast<std::uint32_t>(*other->party.type);
    record.peer_generation = other->party.generation.value;
    put_text(record.peer_name, other->party.name);
  } else if (const auto stand_in = stand_ins_.find(peer); stand_in != stand_ins_.end()) {
    if (stand_in->second.type)
      record.peer_type = static_cast<std::uint32_t>(*stand_in->second.type);
    put_text(record.peer_name, stand_in->second.name);
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

void Broker::deliver_stale(Plan& plan, PluginId only) {
  for (auto& [id, whom] : members_) {
    if (!whom.present || !whom.groups_known || (only && id != only)) continue;
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
  by_ends_.erase({PluginId{record.sender}, PluginId{record.receiver}, record.lane});
  taps_.erase(id); // the ring of copies stays: what is unread in this channel is still copied
  std::erase_if(taps_, [&](const auto& tap) { return tap.second == id; });
  channels_.erase(found);
  plan.drop.push_back(ChannelId{id});
  plan.changed = true;
  std::erase_if(stand_ins_, [&](const auto& stand_in) { // of no use without a channel
    return stand_in.first.value == record.sender &&
           std::ranges::none_of(channels_, [&](const auto& other) {
             return other.second.record.sender == record.sender;
           });
  });
}

// --- who is there ---

Plan Broker::join(Party party) {
  Plan plan;
  const PluginId id = party.id;
  const auto [found, is_new] = members_.try_emplace(id);
  Member& self = found->second;
  const bool successor = !is_new && party.generation > self.party.generation;
  const bool was_present = !is_new && self.present;
  if (is_new) replace_stand_in(party, plan);
  self.party = std::move(party);
  self.present = true;
  if (successor && was_present) deliver_restarted(id, plan); // nobody had said lost()
  for (auto& [number, channel] : channels_) {
    if (!successor || channel.record.sender != id.value) continue;
    ++channel.record.ring_generation;
    channel.sender_told = false;
    plan.changed = true;
  }
  deliver_taps_of(id, plan); // a recorder is there before what it records
  for (auto& [number, channel] : channels_)
    if (channel.record.receiver == id.value) deliver_opened(channel, Role::Receive, 0, plan);
  if (is_new && self.party.type) deliver_stale(plan); // programs belong to no group of a type
  return plan;
}

// Once to each peer, on a channel that it sends on if there is one: it may wait for an answer.
void Broker::deliver_restarted(PluginId party, Plan& plan) {
  std::map<std::uint64_t, const ChannelRecord*> told;
  for (const auto& [number, channel] : channels_) {
    const ChannelRecord& record = channel.record;
    if (record.receiver == party.value && is_priority(record.lane))
      told[record.sender] = &record;
    else if (record.sender == party.value)
      told.try_emplace(record.receiver, &record);
  }
  for (const auto& [peer, record] : told)
    deliver_closed(*record, PluginId{peer}, CloseReason::PeerRestarted, plan);
}

Plan Broker::lost(PluginId party) {
  Plan plan;
  Member* const self = member(party);
  if (self == nullptr || !self->present) return plan;
  self->present = false;
  self->groups_known = false;
  waits_.stop(party);
  for (auto& [number, channel] : channels_)
    if (channel.record.receiver == party.value) channel.receiver_told = false;
  end_taps_of(party, plan);
  deliver_restarted(party, plan);
  return plan;
}

Plan Broker::part(PluginId party) {
  Plan plan;
  for (const ChannelRecord& channel : channels()) {
    if (channel.sender == party.value)
      end_channel(channel.channel, party, CloseReason::PeerGone, plan);
    else if (channel.receiver == party.value)
      deliver_closed(channel, PluginId{channel.sender}, CloseReason::PeerGone, plan);
  }
  plan.changed |= subscriptions_.erase(party) != 0;
  waits_.stop(party);
  const auto self = members_.find(party);
  if (self == members_.end()) return plan;
  const bool is_plugin = self->second.party.type.has_value();
  members_.erase(self);
  if (is_plugin) deliver_stale(plan);
  return plan;
}

Plan Broker::leave(PluginId party) {
  Plan plan = part(party);
  for (const ChannelRecord& channel : channels()) // its sender has just been told
    if (channel.receiver == party.value)
      end_channel(channel.channel, PluginId{channel.sender}, CloseReason::PeerGone, plan);
  return plan;
}

Plan Broker::regrant(PluginId party, model::CapabilitySet capabilities, model::Acl acl) {
  Plan plan;
  Member* const self = member(party);
  if (self == nullptr) return plan;
  self->party.capabilities = capabilities;
  self->party.acl = std::move(acl);
  // Requests before replies: a channel for replies stands or falls with the one that asks.
  for (const bool replies : {false, true}) {
    for (const ChannelRecord& channel : channels()) {
      if ((channel.lane == Lane::Reply) != replies || channel.lane == Lane::Tap) continue;
      if (channel.sender != party.value && channel.receiver != party.value) continue;
      const Member* const from = member(PluginId{channel.sender});
      const Member* const to = member(PluginId{channel.receiver});
      if (from == nullptr || to == nullptr) continue;
      if (!allow(from->party, to->party, channel.lane))
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
  auto channel =
      obtain(self->party, target->party, request.lane, request.header, request.ring_bytes, plan);
  if (!channel) {
    plan.deliveries.push_back(refusal(asker, request.header.sequence, channel.error()));
    return plan;
  }
  if (!(*channel)->receiver_told && target->present)
    deliver_opened(**channel, Role::Receive, 0, plan);
  deliver_opened(**channel, Role::Send, request.header.sequence, plan);
  return plan;
}

std::string Broker::name_of(PluginId id) const {
  const auto found = members_.find(id);
  return found == members_.end() ? fmt::format("plugin {}", id.value) : found->second.party.name;
}

// Who waits has asked something, so there is a channel. (Whether it has asked is seen by whom it
// says to wait for: the Deadlock's addressee.)
bool Broker::may_wait(PluginId asker, PluginId peer) {
  return std::ranges::any_of(kRequestLanes,
                             [&](Lane lane) { return channel_of(asker, peer, lane) != nullptr; });
}

Plan Broker::waiting(PluginId asker, const Waiting& request) {
  Plan plan;
  if (request.peer_id == 0) {
    waits_.stop(asker);
    return plan;
  }
  if (!may_wait(asker, PluginId{request.peer_id})) return plan;
  const auto cycle = waits_.wait(asker, PluginId{request.peer_id});
  if (cycle.empty()) return plan;
  std::string text = "calls that wait for each other: ";
  for (const PluginId id : cycle) text += name_of(id) + " → ";
  Deadlock record;
  record.header.sequence = request.header.sequence;
  record.peer_id = request.peer_id;
  record.waiter_id = cycle.back().value;
  put_text(record.text, text + name_of(asker));
  plan.deliveries.push_back({asker, record, {}});
  return plan;
}

Plan Broker::close(PluginId asker, const CloseChannel& request) {
  Plan plan;
  const auto channel = find(ChannelId{request.channel_id});
  if (!channel || (channel->sender != asker.value && channel->receiver != asker.value)) return plan;
  if (!members_.contains(PluginId{channel->receiver})) return plan; // it ends, see part()
  const CloseReason reason =
      request.reason == CloseReason::Broken ? CloseReason::Broken : CloseReason::PeerGone;
  // Whoever sends on it hears of its end, and asks for its groups again; nobody else need.
  end_channel(request.channel_id, asker, reason, plan);
  return plan;
}

void Broker::forgive() {
  for (auto& [pair, count] : openings_) count -= std::min(count, limits_.openings_forgiven);
  std::erase_if(openings_, [](const auto& opened) { return opened.second == 0; });
}

Plan Broker::undo(ChannelId channel, const Error& why) {
  Plan plan;
  const auto found = channels_.find(channel.value);
  if (found == channels_.end()) return plan;
  const PluginId asker{found->second.record.sender};
  plan.deliveries.push_back(refusal(asker, found->second.sequence, why));
  by_ends_.erase({asker, PluginId{found->second.record.receiver}, found->second.record.lane});
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

Result<ChannelRecord> Broker::sendable(PluginId sender, ChannelId channel) {
  const auto record = find(channel);
  if (!record || record->sender != sender.value)
    return fail(Code::NotFound, "channel {} is none that it sends on", channel.value);
  const Member* const from = member(sender);
  const Member* const to = member(PluginId{record->receiver});
  if (from == nullptr || to == nullptr)
    return fail(Code::PeerGone, "an end of channel {} is gone", channel.value);
  TRY(allow(from->party, to->party, record->lane));
  return *record;
}

bool Broker::is_present(PluginId party) const {
  const auto found = members_.find(party);
  return found != members_.end() && found->second.present;
}

std::vector<ChannelRecord> Broker::channels() const {
  std::vector<ChannelRecord> records;
  for (const auto& [id, channel] : channels_) records.push_back(channel.record);
  return records;
}

} // namespace mohhos::ipc
