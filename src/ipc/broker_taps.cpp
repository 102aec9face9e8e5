// The broker's recorders: a channel's copies on a lane from its receiver to whoever records.
#include <algorithm>

#include "ipc/broker.hpp"

namespace mohhos::ipc {
namespace {

constexpr std::uint64_t kTapRing = std::uint64_t{4} << 20;

} // namespace

Result<Plan> Broker::tap(ChannelId id, PluginId recorder) {
  const auto channel = find(id);
  const Member* const to = member(recorder);
  if (!channel || channel->lane == Lane::Tap || to == nullptr)
    return fail(Code::NotFound, "there is no channel {}", id.value);
  if (taps_.contains(id.value)) return fail(Code::Exists, "channel {} is being recorded", id.value);
  const Member* const from = member(PluginId{channel->receiver});
  if (from == nullptr || !from->present)
    return fail(Code::NotRunning, "the receiver of channel {} has no process", id.value);
  Plan plan;
  // Rings are charged when they are used: a large one is for bursts.
  const std::uint64_t ring =
      std::clamp(2 * channel->ring_bytes, std::min(kTapRing, limits_.largest_ring),
                 std::max(limits_.largest_ring, from->party.ring_bytes));
  TRY(Channel* const copy, obtain(from->party, to->party, Lane::Tap, {}, ring, plan));
  deliver_opened(*copy, Role::Receive, 0, plan);
  deliver_opened(*copy, Role::Send, 0, plan);
  taps_[id.value] = copy->record.channel;
  plan.changed = true;
  TapOpened record;
  record.channel_id = id.value;
  record.tap_channel_id = copy->record.channel;
  plan.deliveries.push_back({from->party.id, record, {}});
  return plan;
}

// Several channels to one receiver share a ring of copies.
void Broker::end_tap(std::uint64_t tapped, CloseReason reason, Plan& plan) {
  const auto tap = taps_.extract(tapped);
  if (!tap) return;
  const bool shared =
      std::ranges::any_of(taps_, [&](const auto& other) { return other.second == tap.mapped(); });
  if (!shared) end_channel(tap.mapped(), {}, reason, plan);
}

Plan Broker::untap(ChannelId id) {
  Plan plan;
  if (!taps_.contains(id.value)) return plan;
  TapOpened record;
  record.channel_id = id.value;
  plan.deliveries.push_back({PluginId{find(id)->receiver}, record, {}});
  end_tap(id.value, CloseReason::PeerGone, plan);
  plan.changed = true;
  return plan;
}

// Once more: the manager may have died before it had told the receiver.
void Broker::deliver_taps_of(PluginId receiver, Plan& plan) {
  for (const auto& [tapped, copies] : taps_) {
    Channel& copy = channels_.at(copies);
    if (copy.record.sender != receiver.value) continue;
    if (!copy.sender_told) deliver_opened(copy, Role::Send, 0, plan);
    TapOpened record;
    record.channel_id = tapped;
    record.tap_channel_id = copies;
    plan.deliveries.push_back({receiver, record, {}});
  }
}

void Broker::end_taps_of(PluginId receiver, Plan& plan) {
  for (const ChannelRecord& channel : channels())
    if (channel.lane == Lane::Tap && channel.sender == receiver.value)
      end_channel(channel.channel, receiver, CloseReason::PeerGone, plan);
}

} // namespace mohhos::ipc
