// Channels for messages that are older than the daemon: their receiver is about to join, and their
// sender is stood in for until it is loaded, or for good.
#include "ipc/broker.hpp"

namespace mohhos::ipc {

Result<ChannelRecord> Broker::restore_channel(const StandIn& sender, const Party& receiver,
                                              Lane lane, std::uint64_t ring_bytes, Plan& plan) {
  if (!is_ring_size(ring_bytes)) return fail(Code::Invalid, "a ring of {} bytes", ring_bytes);
  if (channel_of(sender.id, receiver.id, lane) != nullptr)
    return fail(Code::Exists, "{} has a channel to {} already", sender.name, receiver.name);
  if (channels_.size() >= limits_.channels)
    return fail(Code::Exhausted, "{} channels are open, and mohhosd has descriptors for no more",
                channels_.size());
  // What the sender may do was judged when it sent; whether the receiver takes it is judged now.
  Party from{.id = sender.id,
             .name = sender.name,
             .type = sender.type,
             .generation = {},
             .capabilities = model::kAllCapabilities,
             .acl = {}};
  from.acl.send_to = {"*"};
  TRY(may_send(from, receiver));
  const ChannelRecord record{.channel = next_channel_++,
                             .sender = sender.id.value,
                             .receiver = receiver.id.value,
                             .ring_bytes = ring_bytes,
                             .lane = lane};
  by_ends_[{sender.id, receiver.id, lane}] = record.channel;
  channels_[record.channel] = Channel{.record = record};
  if (!members_.contains(sender.id)) stand_ins_[sender.id] = sender;
  plan.make.push_back(record);
  plan.changed = true;
  return record;
}

Plan Broker::end(ChannelId channel) {
  Plan plan;
  end_channel(channel.value, {}, CloseReason::PeerGone, plan);
  return plan;
}

std::optional<PluginId> Broker::waits_for(std::string_view name) const {
  for (const auto& [id, stand_in] : stand_ins_)
    if (stand_in.waits && stand_in.name == name) return id;
  return std::nullopt;
}

// The plugin itself is here now; what it may not do any more ends, though the receiver still reads
// what is there.
void Broker::replace_stand_in(const Party& party, Plan& plan) {
  if (stand_ins_.erase(party.id) == 0) return;
  plan.changed = true;
  for (const ChannelRecord& channel : channels()) {
    if (channel.sender != party.id.value) continue;
    const Member* const to = member(PluginId{channel.receiver});
    if (to != nullptr && !may_send(party, to->party))
      end_channel(channel.channel, {}, CloseReason::Revoked, plan);
  }
}

} // namespace mohhos::ipc
