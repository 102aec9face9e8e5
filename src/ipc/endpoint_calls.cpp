// Requests and groups: what an endpoint does with more than one channel at a time.
#include <algorithm>

#include "ipc/endpoint_state.hpp"
#include "ipc/shared_word.hpp"

namespace mohhos::ipc {
namespace {

Monotonic now() {
  return std::chrono::steady_clock::now();
}

std::uint64_t as_ns(Monotonic deadline) {
  if (deadline == kForever) return 0;
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(deadline.time_since_epoch()).count());
}

// 'Refuse when full' still leaves the manager time to open the channel.
Monotonic open_deadline(Monotonic deadline) {
  return deadline == kNoWait ? now() + kOpenTime : deadline;
}

} // namespace

// --- requests ---

void Endpoint::State::fail_calls(PluginId peer, const Error& why) {
  for (AnswerCallback& callback : calls.take_of(peer))
    finished.push_back({std::move(callback), why});
}

void Endpoint::State::fail_calls_once_drained(PluginId peer, const Error& why) {
  bool waits = false;
  for (auto& [id, source] : receiving) {
    if (source->peer.id != peer) continue;
    source->calls_fail = why;
    activate(*source);
    waits = true;
  }
  if (!waits) fail_calls(peer, why);
}

Result<> Endpoint::call(ChannelId channel, const Outgoing& about, std::span<const std::byte> bytes,
                        Monotonic deadline, AnswerCallback callback) {
  const Sending* const out = state_->find_sending(channel);
  if (out == nullptr) return fail(Code::PeerGone, "channel {} has ended", channel.value);
  Outgoing request = about;
  request.correlation = state_->calls.add(out->peer.id, deadline, std::move(callback));
  request.deadline_ns = as_ns(deadline);
  auto sent = send(channel, request, bytes, deadline);
  if (sent) return {};
  state_->calls.forget(request.correlation); // no callback: the caller learns it here
  return std::unexpected(std::move(sent).error());
}

Result<Answer> Endpoint::call_and_wait(ChannelId channel, const Outgoing& about,
                                       std::span<const std::byte> bytes, Monotonic deadline) {
  const auto callee = peer(channel);
  std::optional<Result<Answer>> answer;
  TRY(call(channel, about, bytes, deadline, [&answer](Result<const Message*> got) {
    if (got)
      answer = Answer{(*got)->info, (*got)->copy()};
    else
      answer = std::unexpected(std::move(got).error());
  }));
  state_->wait_for_answer(callee->id, answer);
  return *std::move(answer);
}

// Takes what the callee sent: answers go to their callbacks, the rest is copied aside, in order.
bool Endpoint::State::read_from(PluginId callee) {
  std::vector<ChannelId> sources;
  for (const auto& [id, source] : receiving)
    if (source->peer.id == callee) sources.push_back(source->id);
  bool found = false;
  for (const ChannelId id : sources) {
    Receiving* const source = find_receiving(id);
    if (source == nullptr) continue;
    Message message;
    const Next next = take_from(*source, message);
    found |= next != Next::Nothing;
    if (next != Next::Message) continue;
    activate(*source);
    HeldMessage kept{message, message.copy()};
    kept.message.payload = kept.payload;
    kept.message.end = 0;
    source->channel.release(View{.info = {}, .payload = {}, .end = message.end});
    held_bytes += kept.payload.size();
    held.push_back(std::move(kept));
    if (held_bytes <= settings.max_held_bytes) continue;
    fail_calls(callee, {Code::Exhausted,
                        fmt::format("{} sent more than {} bytes of messages before its answer",
                                    source->peer.name, settings.max_held_bytes)});
  }
  return found;
}

void Endpoint::State::wait_for_answer(PluginId callee,
                                      const std::optional<Result<Answer>>& answer) {
  wake_receivers();
  const Monotonic spin_until = now() + settings.spin;
  for (std::uint32_t look = 1;; ++look) {
    const bool found = read_from(callee);
    deliver_finished();
    if (answer) return;
    if (found) continue;
    if (look % kSpinsPerPoll != 0) {
      spin_pause();
      continue;
    }
    const bool sleep = now() >= spin_until && arm(callee);
    note(waiter.wait(sleep ? calls.next_deadline() : kNoWait));
    expire(now());
  }
}

Result<> Endpoint::respond(const ReplyTo& to, std::span<const std::byte> bytes, Monotonic deadline,
                           bool failed) {
  if (to.correlation == 0)
    return fail(Code::Invalid, "the message was no request: it has no correlation");
  if (to.deadline_ns != 0 && to.deadline_ns < monotonic_ns())
    return fail(Code::TimedOut, "the request's deadline has passed; nobody waits for the answer");
  TRY(const ChannelId channel, open_channel(to.asker, open_deadline(deadline)));
  const Outgoing about{
      .type = MessageType::DataResponse, .failed = failed, .correlation = to.correlation};
  TRY(send(channel, about, bytes, deadline));
  return {};
}

// --- groups ---

Result<const Group*> Endpoint::State::find_group(const OpenGroup& question, Monotonic deadline) {
  read_link(); // a GroupStale may be waiting
  const GroupKey key{question.kind, question.value};
  if (const auto known = groups.find(key); known != groups.end()) return &known->second;
  TRY(const LinkRecord record, ask(question, deadline));
  TRY(check_answer(record, LinkType::GroupReady));
  const auto ready = record.as<GroupReady>();
  Group& group = groups[key];
  group.refused = ready.refused;
  for (std::uint32_t i = 0; i < ready.count; ++i) group.channels.emplace_back(ready.channels[i]);
  return &group;
}

Result<Delivered> Endpoint::send_to_group(const OpenGroup& question, const Outgoing& about,
                                          std::span<const std::byte> bytes, Monotonic deadline) {
  TRY(const Group* const found, state_->find_group(question, open_deadline(deadline)));
  const Group group = *found; // sending may end a channel and so the group
  Delivered delivered{.refused = group.refused};
  for (const ChannelId channel : group.channels) {
    const auto sent = send(channel, about, bytes, deadline);
    if (sent)
      ++delivered.sent;
    else if (sent.error().code == Code::TooLarge)
      return std::unexpected(sent.error());
    else if (sent.error().code != Code::PeerGone)
      ++delivered.full;
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

Result<> Endpoint::subscribe(PluginId publisher, std::span<const std::uint32_t> events) {
  while (!events.empty()) {
    Subscribe record;
    record.publisher_id = publisher.value;
    record.count = static_cast<std::uint32_t>(std::min(events.size(), std::size(record.events)));
    std::ranges::copy(events.first(record.count), record.events);
    TRY(send_record(record));
    events = events.subspan(record.count);
  }
  return {};
}

} // namespace mohhos::ipc
