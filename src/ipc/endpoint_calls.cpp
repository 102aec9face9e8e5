// Requests: sent with a number, answered with the same, taken back, waited for.
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
    queue(finished, FinishedCall{std::move(callback), why});
}

void Endpoint::State::fail_calls_once_drained(PluginId peer, const Error& why) {
  bool waits = false;
  for (auto& [id, source] : receiving) {
    if (source->peer.id != peer) continue;
    if (source->lane != Lane::Reply) continue;
    source->calls_fail = why;
    activate(*source);
    waits = true;
  }
  if (!waits) fail_calls(peer, why);
}

Result<std::uint64_t> Endpoint::call(ChannelId channel, const Outgoing& about,
                                     std::span<const std::byte> bytes, Monotonic deadline,
                                     AnswerCallback callback) {
  const Sending* const out = state_->find_sending(channel);
  if (out == nullptr) return fail(Code::PeerGone, "channel {} has ended", channel.value);
  Outgoing request = about;
  request.correlation =
      state_->calls.add(out->peer.id, channel, about.priority, deadline, std::move(callback));
  request.deadline_ns = as_ns(deadline);
  auto sent = send(channel, request, bytes, deadline);
  if (sent) return request.correlation;
  state_->calls.forget(request.correlation); // no callback: the caller learns it here
  return std::unexpected(std::move(sent).error());
}

// On the same lane, so that it comes behind the request.
Result<> Endpoint::cancel(std::uint64_t number) {
  auto call = state_->calls.take(number);
  if (!call) return fail(Code::NotFound, "request {} has ended", number);
  state_->queue(state_->finished,
                FinishedCall{std::move(call->callback), {Code::Cancelled, "it was taken back"}});
  const Outgoing about{.type = MessageType::DataRequest,
                       .priority = call->priority,
                       .cancels = true,
                       .correlation = number};
  (void)send(call->channel, about, {}, kNoWait); // without room, its answer will come too late
  return {};
}

Result<Answer> Endpoint::call_and_wait(ChannelId channel, const Outgoing& about,
                                       std::span<const std::byte> bytes, Monotonic deadline) {
  const auto callee = peer(channel);
  std::optional<Result<Answer>> answer;
  TRY(const std::uint64_t number,
      call(channel, about, bytes, deadline, [this, &answer](Result<const Message*> got) {
        if (!got) {
          answer = std::unexpected(std::move(got).error());
          return;
        }
        answer = Answer{(*got)->info, (*got)->copy()};
        if ((*got)->info.attachment == 0) return;
        if (auto memory = take_memory(**got)) (*answer)->memory = *memory;
      }));
  state_->blocking_call = number;
  state_->wait_for_answer(callee->id, answer);
  state_->blocking_call = 0;
  return *std::move(answer);
}

Receiving* Endpoint::State::responses_of(PluginId peer) {
  for (auto& [id, source] : receiving)
    if (source->lane == Lane::Reply && source->peer.id == peer) return source.get();
  return nullptr;
}

bool Endpoint::State::owes(PluginId peer) {
  std::uint32_t requests = 0;
  for (const auto& [id, source] : receiving) {
    if (source->peer.id != peer || !is_priority(source->lane)) continue;
    if (!source->channel.all_released() || source->channel.ready()) return true;
    requests += source->requests;
  }
  const Sending* const replies = sending_to(peer, Lane::Reply);
  return requests != (replies == nullptr ? 0 : replies->answered);
}

// What the manager was told by those who wait. A claim to wait for us is true if we owe an answer;
// else it is old, or a lie, and must not end our call to somebody else.
void Endpoint::State::take_deadlock(const Deadlock& record) {
  if (record.header.sequence != static_cast<std::uint32_t>(blocking_call)) return; // it has ended
  if (!owes(PluginId{record.waiter_id})) return;
  auto call = calls.take(blocking_call);
  if (call) queue(finished, FinishedCall{std::move(call->callback), {Code::BadState, record.text}});
}

// Messages stay where they are; of what the callee sends only its responses are taken out.
void Endpoint::State::wait_for_answer(PluginId callee,
                                      const std::optional<Result<Answer>>& answer) {
  look_at_receivers();
  ++looks;
  const Monotonic begin = now();
  Monotonic tell_at = begin + kTellWaiting;
  bool told = false;
  for (std::uint32_t look = 1;; ++look) {
    Receiving* const source = responses_of(callee);
    Message unused;
    const bool found = source != nullptr && take_from(*source, unused) != Next::Nothing;
    deliver_finished();
    if (answer) break;
    if (look % kSpinsPerPoll != 0) {
      if (!found) spin_pause();
      continue;
    }
    const Monotonic time = now();
    if (time >= tell_at) {
      Waiting waiting;
      waiting.peer_id = callee.value;
      waiting.header.sequence = static_cast<std::uint32_t>(blocking_call);
      told |= send_link_record(link.get(), waiting).has_value();
      tell_at = time + std::chrono::seconds(1); // a manager that was replaced does not know
    }
    Receiving* const idle = responses_of(callee); // it may have ended just now
    const bool sleep =
        !found && time >= begin + settings.spin && (idle == nullptr || arm_only(*idle));
    const Monotonic until = std::min(own_deadline(), tell_at);
    (void)note(waiter.wait(sleep ? until : kNoWait));
    expire(now());
  }
  if (told) (void)send_link_record(link.get(), Waiting{});
}

Result<> Endpoint::respond(const ReplyTo& to, std::span<const std::byte> bytes, Monotonic deadline,
                           bool failed, std::uint64_t memory) {
  if (to.correlation == 0)
    return fail(Code::Invalid, "the message was no request: it has no correlation");
  if (to.deadline_ns != 0 && to.deadline_ns < monotonic_ns())
    return fail(Code::TimedOut, "the request's deadline has passed; nobody waits for the answer");
  const Sending* out = state_->sending_to(to.asker, Lane::Reply);
  if (out == nullptr) {
    OpenChannel question;
    question.target_id = to.asker.value;
    question.lane = Lane::Reply;
    TRY(const ChannelId opened, state_->open_channel(question, open_deadline(deadline)));
    out = state_->find_sending(opened);
  }
  const Outgoing about{.type = MessageType::DataResponse,
                       .failed = failed,
                       .correlation = to.correlation,
                       .attachment = memory};
  const ChannelId id = out->id;
  TRY(send(id, about, bytes, deadline));
  if (Sending* const still = state_->find_sending(id)) ++still->answered;
  return {};
}

} // namespace mohhos::ipc
