// Groups: one message to many, by plugin type or by who subscribed to an event.
#include <algorithm>

#include "ipc/endpoint_state.hpp"

namespace mohhos::ipc {
namespace {

// 'Refuse when full' still leaves the manager time to open channels.
Monotonic open_deadline(Monotonic deadline) {
  return deadline == kNoWait ? std::chrono::steady_clock::now() + kOpenTime : deadline;
}

} // namespace

Result<const Group*> Endpoint::State::find_group(const OpenGroup& question, Monotonic deadline) {
  read_link(); // a GroupStale may be waiting
  const GroupKey key{question.kind, question.value};
  if (const auto known = groups.find(key); known != groups.end()) return &known->second;
  TRY(const LinkRecord record, ask(question, deadline));
  TRY(check_answer(record, LinkType::GroupReady));
  const auto ready = record.as<GroupReady>();
  Group& group = groups[key];
  group.refused = ready.refused;
  for (std::uint32_t i = 0; i < ready.count; ++i)
    group.members.push_back(
        {ChannelId{ready.channels[i]}, static_cast<model::Lossiness>(ready.losses[i])});
  return &group;
}

Result<Delivered> Endpoint::send_to_group(const OpenGroup& question, const Outgoing& about,
                                          std::span<const std::byte> bytes, Monotonic deadline) {
  TRY(const Group* const found, state_->find_group(question, open_deadline(deadline)));
  const Group group = *found; // sending may end a channel and so the group
  Delivered delivered{.refused = group.refused};
  for (const GroupMember& member : group.members) {
    // Who may lose the newest does not make anybody wait.
    const bool may_drop = member.loss == model::Lossiness::Newest;
    Outgoing one = about;
    one.may_drop = may_drop;
    const auto sent = send(member.channel, one, bytes, may_drop ? kNoWait : deadline);
    if (sent) {
      ++delivered.sent;
    } else if (sent.error().code == Code::TooLarge || sent.error().code == Code::Invalid) {
      return std::unexpected(sent.error());
    } else if (may_drop && sent.error().code == Code::Refused) {
      ++delivered.dropped;
    } else if (sent.error().code != Code::PeerGone) {
      ++delivered.full;
    }
  }
  return delivered;
}

Result<Delivered> Endpoint::broadcast(model::PluginType type, const Outgoing& about,
                                      std::span<const std::byte> bytes, Monotonic deadline) {
  OpenGroup question;
  question.kind = GroupKind::PluginsOfType;
  question.value = static_cast<std::uint32_t>(type);
  return send_to_group(question, about, bytes, deadline);
}

Result<Delivered> Endpoint::publish(std::uint32_t event, const Outgoing& about,
                                    std::span<const std::byte> bytes, Monotonic deadline) {
  OpenGroup question;
  question.kind = GroupKind::SubscribersOfEvent;
  question.value = event;
  Outgoing announced = about;
  announced.type = MessageType::EventNotify;
  announced.event = event;
  return send_to_group(question, announced, bytes, deadline);
}

Result<> Endpoint::subscribe(PluginId publisher, std::span<const std::uint32_t> events,
                             Monotonic deadline) {
  while (!events.empty()) {
    Subscribe question;
    question.publisher_id = publisher.value;
    question.count =
        static_cast<std::uint32_t>(std::min(events.size(), std::size(question.events)));
    std::ranges::copy(events.first(question.count), question.events);
    TRY(const LinkRecord record, state_->ask(question, deadline));
    TRY(check_answer(record, LinkType::Subscribed));
    events = events.subspan(question.count);
  }
  return {};
}

} // namespace mohhos::ipc
