// The broker's durable state as bytes: what the warden keeps for the next manager. A head, then the
// channels, the subscriptions, the stand-ins and the recorded channels, each of fixed size.
#include <cstring>

#include "base/bytes.hpp"
#include "base/fixed_text.hpp"
#include "base/reader.hpp"
#include "ipc/broker.hpp"

namespace mohhos::ipc {
namespace {

constexpr std::uint32_t kNoType = 0xFFFFFFFFU;
constexpr std::uint32_t kMagic = 0x4B4F5242; // "BROK"
constexpr std::uint32_t kVersion = 5;

struct SavedHead {
  std::uint32_t magic = kMagic;
  std::uint32_t version = kVersion;
  std::uint64_t next_channel = 0;
  std::uint64_t channels = 0;
  std::uint64_t subscriptions = 0;
  std::uint64_t stand_ins = 0;
  std::uint64_t taps = 0;
};
struct SavedTap {
  std::uint64_t channel = 0;
  std::uint64_t copies = 0;
};
struct SavedStandIn {
  std::uint64_t id = 0;
  std::uint32_t type = 0; // kNoType: an application
  std::uint32_t waits = 0;
  char name[kNameSize] = {};
};
struct SavedSubscription {
  std::uint64_t subscriber = 0;
  std::uint64_t publisher = 0;
  std::uint32_t event = 0;
  std::uint32_t reserved = 0;
};

Result<> judge(const ChannelRecord& record, std::uint64_t next_channel) {
  const bool sound = record.channel != 0 && record.channel < next_channel && record.sender != 0 &&
                     record.receiver != 0 && record.sender != record.receiver &&
                     is_ring_size(record.ring_bytes) && record.lane <= Lane::Tap;
  if (!sound)
    return fail(Code::Malformed, "the broker's saved channel {} makes no sense", record.channel);
  return {};
}

} // namespace

std::vector<std::byte> Broker::save() const {
  SavedHead head{.next_channel = next_channel_,
                 .channels = channels_.size(),
                 .stand_ins = stand_ins_.size(),
                 .taps = taps_.size()};
  for (const auto& [subscriber, wishes] : subscriptions_) head.subscriptions += wishes.size();
  std::vector<std::byte> bytes;
  append(bytes, head);
  for (const auto& [id, channel] : channels_) append(bytes, channel.record);
  for (const auto& [subscriber, wishes] : subscriptions_)
    for (const auto& [publisher, event] : wishes)
      append(bytes, SavedSubscription{
                        .subscriber = subscriber.value, .publisher = publisher, .event = event});
  for (const auto& [id, stand_in] : stand_ins_) {
    SavedStandIn saved{.id = id.value, .type = kNoType, .waits = stand_in.waits ? 1U : 0U};
    if (stand_in.type) saved.type = static_cast<std::uint32_t>(*stand_in.type);
    put_text(saved.name, stand_in.name);
    append(bytes, saved);
  }
  for (const auto& [channel, copies] : taps_)
    append(bytes, SavedTap{.channel = channel, .copies = copies});
  return bytes;
}

Result<> Broker::restore(std::span<const std::byte> saved) {
  const Reader reader(saved);
  const auto head = reader.at<SavedHead>(0);
  if (!head || head->magic != kMagic || head->version != kVersion)
    return fail(Code::Malformed, "this is not a broker's saved state of version {}", kVersion);
  std::uint64_t offset = sizeof(SavedHead);
  for (std::uint64_t i = 0; i < head->channels; ++i, offset += sizeof(ChannelRecord)) {
    const auto record = reader.at<ChannelRecord>(offset);
    if (!record) return fail(Code::Malformed, "the broker's saved state ends after {} channels", i);
    TRY(judge(*record, head->next_channel));
    const Ends ends{PluginId{record->sender}, PluginId{record->receiver}, record->lane};
    if (channels_.contains(record->channel) || by_ends_.contains(ends))
      return fail(Code::Malformed, "the broker's saved channel {} is there twice", record->channel);
    channels_[record->channel] = Channel{.record = *record};
    by_ends_[ends] = record->channel;
  }
  for (std::uint64_t i = 0; i < head->subscriptions; ++i, offset += sizeof(SavedSubscription)) {
    const auto wish = reader.at<SavedSubscription>(offset);
    if (!wish)
      return fail(Code::Malformed, "the broker's saved state ends after {} subscriptions", i);
    subscriptions_[PluginId{wish->subscriber}].emplace(wish->publisher, wish->event);
  }
  for (std::uint64_t i = 0; i < head->stand_ins; ++i, offset += sizeof(SavedStandIn)) {
    const auto one = reader.at<SavedStandIn>(offset);
    if (!one) return fail(Code::Malformed, "the broker's saved state ends after {} stand-ins", i);
    const bool known_type = one->type < model::kPluginTypes.size();
    if (std::memchr(one->name, 0, kNameSize) == nullptr || one->id == 0 ||
        (!known_type && one->type != kNoType))
      return fail(Code::Malformed, "the broker's saved stand-in {} makes no sense", one->id);
    StandIn& stand_in = stand_ins_[PluginId{one->id}];
    stand_in = {.id = {one->id}, .name = one->name, .type = {}, .waits = one->waits != 0};
    if (known_type) stand_in.type = model::kPluginTypes[one->type];
  }
  for (std::uint64_t i = 0; i < head->taps; ++i, offset += sizeof(SavedTap)) {
    const auto tap = reader.at<SavedTap>(offset);
    if (!tap) return fail(Code::Malformed, "the broker's saved state ends after {} recorders", i);
    TRY(judge_tap(tap->channel, tap->copies));
    taps_[tap->channel] = tap->copies;
  }
  next_channel_ = head->next_channel;
  return {};
}

// Copies go from the receiver of what is copied.
Result<> Broker::judge_tap(std::uint64_t channel, std::uint64_t copies) const {
  const auto from = find({channel});
  const auto to = find({copies});
  if (!from || !to || from->lane == Lane::Tap || to->lane != Lane::Tap ||
      from->receiver != to->sender)
    return fail(Code::Malformed, "the broker's saved recorder of channel {} makes no sense",
                channel);
  return {};
}

Plan Broker::sweep() {
  Plan plan;
  for (const ChannelRecord& channel : channels()) {
    const bool both = is_known(channel.sender) && members_.contains(PluginId{channel.receiver});
    if (!both) end_channel(channel.channel, {}, CloseReason::PeerGone, plan);
  }
  plan.changed |= std::erase_if(subscriptions_, [&](const auto& entry) {
                    return !members_.contains(entry.first);
                  }) != 0;
  return plan;
}

} // namespace mohhos::ipc
