// Receiving: polled rings first, then the queue of what the link said, then spinning, then sleep.
//
// A ring is either active (polled by us, not armed) or idle (armed: its sender rings). A sleep arms
// the active ones only, so a thousand idle channels cost nothing; a bell makes one active again.
#include <algorithm>

#include "base/check.hpp"
#include "ipc/endpoint_state.hpp"
#include "ipc/shared_word.hpp"

namespace mohhos::ipc {
namespace {

constexpr std::uint32_t kFairShare =
    16; // messages in a row from one channel while others have some
constexpr std::uint32_t kReceivesPerPoll =
    256; // a busy ring must not starve the link and the idle channels
constexpr std::uint32_t kBellStorm = 1000;

Monotonic now() {
  return std::chrono::steady_clock::now();
}

bool has_work(const Receiving& channel) {
  const RingReceiver& ring = channel.channel.ring();
  return ring.ready() || channel.calls_fail || (channel.ending && ring.all_released());
}

} // namespace

Receiving* Endpoint::State::find_receiving(ChannelId id) {
  if (last_receiving != nullptr && last_receiving->id == id) return last_receiving;
  const auto found = receiving.find(id.value);
  if (found == receiving.end()) return nullptr;
  last_receiving = found->second.get();
  return last_receiving;
}

void Endpoint::State::activate(Receiving& channel) {
  if (channel.active) return;
  channel.channel.ring().disarm();
  channel.active = true;
  active.push_back(&channel);
}

// --- messages ---

Endpoint::State::Next Endpoint::State::next_message(Message& message) {
  for (std::size_t empty = 0; empty < active.size();) {
    if (turn >= active.size()) turn = 0;
    Receiving& from = *active[turn];
    const std::size_t before = active.size();
    const Next next = take_from(from, message);
    if (next != Next::Nothing) {
      if (++taken >= kFairShare) {
        taken = 0;
        ++turn;
      }
      return next;
    }
    taken = 0;
    if (active.size() == before) { // else it ended, and another one has its place
      ++turn;
      ++empty;
    }
  }
  return Next::Nothing;
}

Endpoint::State::Next Endpoint::State::take_from(Receiving& from, Message& message) {
  View view;
  switch (from.channel.next(view)) {
  case RingReceiver::Outcome::Message: break;
  case RingReceiver::Outcome::Broken:
    break_receiving(from, from.channel.ring().breach());
    return Next::Nothing;
  case RingReceiver::Outcome::Empty:
    if (from.calls_fail) fail_calls(from.peer.id, *std::exchange(from.calls_fail, std::nullopt));
    if (from.ending && from.channel.ring().all_released()) end_receiving(from.id);
    return Next::Nothing;
  }
  ++counters.received;
  from.idle_bells = 0;
  if (view.info.generation == 0) view.info.generation = from.peer.generation.value;
  if (view.info.type == MessageType::DataResponse && view.info.correlation != 0) {
    if (!take_answer(from, view)) ++counters.late_answers;
    return Next::Again;
  }
  if (from.reply_only) {
    from.channel.release(view); // nobody will see it
    break_receiving(from, Breach::NotAReply);
    return Next::Nothing;
  }
  message = {.info = view.info,
             .sender = from.peer.id,
             .channel = from.id,
             .payload = view.payload,
             .end = view.end};
  return Next::Message;
}

// The callback may do anything, also end this channel: nothing of it is used afterwards but its id.
bool Endpoint::State::take_answer(Receiving& from, const View& view) {
  const Message message{.info = view.info,
                        .sender = from.peer.id,
                        .channel = from.id,
                        .payload = view.payload,
                        .end = view.end};
  const auto callback = calls.take(view.info.correlation, from.peer.id);
  if (callback && view.info.failed) {
    const std::vector<std::byte> words = message.copy();
    (*callback)(fail(Code::PluginFailed, "{}: {}", from.peer.name,
                     std::string_view(reinterpret_cast<const char*>(words.data()), words.size())));
  } else if (callback) {
    (*callback)(&message);
  }
  if (Receiving* const still = find_receiving(message.channel))
    still->channel.release(View{.info = {}, .payload = {}, .end = message.end});
  return callback.has_value();
}

void Endpoint::State::break_receiving(Receiving& channel, Breach breach) {
  channel.channel.ring().condemn(breach);
  if (!channel.ending) {
    CloseChannel close;
    close.channel_id = channel.id.value;
    close.reason = CloseReason::Broken;
    put_text(close.text, fmt::format("{}: {}", channel.peer.name, breach_text(breach)));
    (void)send_link_record(link.get(), close);
    channel.ending = Error{Code::Malformed, fmt::format("{} broke the ring: {}", channel.peer.name,
                                                        breach_text(breach))};
  }
  if (channel.channel.ring().all_released()) {
    end_receiving(channel.id);
  } else {
    std::erase(active, &channel); // release() of the last message ends it
    channel.active = false;
  }
}

void Endpoint::State::end_receiving(ChannelId id) {
  const auto found = receiving.find(id.value);
  CHECK(found != receiving.end());
  Receiving& channel = *found->second;
  fail_calls(channel.peer.id, *channel.ending);
  ends.push_back({id, channel.peer.id, Role::Receive, *channel.ending});
  waiter.remove_bell(channel.channel.data_bell());
  std::erase(active, &channel);
  if (last_receiving == &channel) last_receiving = nullptr;
  receiving.erase(found);
}

void Endpoint::release(const Message& message) {
  State& state = *state_;
  if (message.end == 0) { // was copied aside by call_and_wait()
    std::erase_if(state.held_out, [&](const HeldMessage& held) {
      return held.message.channel == message.channel && held.message.info.id <= message.info.id;
    });
    return;
  }
  Receiving* const from = state.find_receiving(message.channel);
  CHECK(from != nullptr); // a channel lives until its messages are released
  from->channel.release(View{.info = {}, .payload = {}, .end = message.end});
  if (!from->ending || !from->channel.ring().all_released()) return;
  if (from->channel.ring().breach() != Breach::None)
    state.end_receiving(from->id);
  else
    state.activate(*from); // the next receive() finds it empty and ends it
}

// --- receive ---

Result<std::optional<Message>> Endpoint::receive(Monotonic deadline) {
  State& state = *state_;
  if (!state.unwoken.empty()) state.wake_receivers();
  for (;;) {
    if (state.until_poll-- == 0) {
      state.until_poll = kReceivesPerPoll;
      state.note(state.waiter.wait(kNoWait));
      state.expire(now());
    }
    if (state.deliver() && std::exchange(state.interrupted, false)) return std::nullopt;
    if (!state.held.empty()) return state.take_held();
    Message message;
    switch (state.next_message(message)) {
    case State::Next::Message: return message;
    case State::Next::Again: break;
    case State::Next::Nothing:
      if (state.link_error && state.records.empty()) return std::unexpected(*state.link_error);
      if (!state.wait(deadline)) return std::nullopt;
    }
    if (std::exchange(state.interrupted, false)) return std::nullopt;
  }
}

Message Endpoint::State::take_held() {
  held_bytes -= held.front().payload.size();
  held_out.push_back(std::move(held.front()));
  held.pop_front();
  return held_out.back().message;
}

void Endpoint::interrupt() {
  state_->interrupted = true;
}

bool Endpoint::State::deliver() {
  if (records.empty() && ends.empty() && finished.empty()) [[likely]]
    return false;
  while (!records.empty() && !interrupted) {
    const LinkRecord record = std::move(records.front());
    records.pop_front();
    if (on_record) on_record(record);
  }
  deliver_finished();
  while (!ends.empty()) {
    const Ended end = std::move(ends.front());
    ends.pop_front();
    if (on_ended) on_ended(end);
  }
  return true;
}

void Endpoint::State::deliver_finished() {
  while (!finished.empty()) {
    const FinishedCall call = std::move(finished.front());
    finished.pop_front();
    call.callback(std::unexpected(call.why));
  }
}

void Endpoint::State::expire(Monotonic time) {
  for (AnswerCallback& callback : calls.take_expired(time))
    finished.push_back({std::move(callback), {Code::TimedOut, "no answer came in time"}});
}

// --- sleeping ---

void Endpoint::State::note(std::span<const Wake> wakes) {
  for (const Wake wake : wakes) {
    if (wake.kind == WakeKind::Link) {
      read_link();
    } else if (wake.kind == WakeKind::Data) {
      Receiving* const channel = find_receiving(ChannelId{wake.channel});
      if (channel == nullptr) continue;
      activate(*channel);
      if (!channel->channel.ring().ready() && ++channel->idle_bells > kBellStorm)
        break_receiving(*channel, Breach::BellStorm);
    }
  }
}

bool Endpoint::State::anything_ready() const {
  if (!records.empty() || !ends.empty() || !finished.empty() || !held.empty() || link_error)
    return true;
  return std::ranges::any_of(active, [](const Receiving* channel) { return has_work(*channel); });
}

bool Endpoint::State::arm(std::optional<PluginId> only) {
  const auto chosen = [&](const Receiving* channel) { return !only || channel->peer.id == *only; };
  for (Receiving* const channel : active)
    if (chosen(channel)) channel->channel.ring().arm();
  store_load_fence(); // the senders: commit(), fence, load of armed in must_wake()
  const bool ready =
      only ? std::ranges::any_of(
                 active, [&](auto* channel) { return chosen(channel) && has_work(*channel); })
           : anything_ready();
  for (Receiving* const channel : active) {
    if (!chosen(channel)) continue;
    if (ready) channel->channel.ring().disarm();
    channel->active = ready;
  }
  if (!ready) std::erase_if(active, chosen);
  return !ready;
}

bool Endpoint::State::wait(Monotonic deadline) {
  wake_receivers();
  if (deadline == kNoWait) {
    note(waiter.wait(kNoWait));
    expire(now());
    return anything_ready();
  }
  Monotonic time = now();
  const Monotonic limit = std::min(deadline, calls.next_deadline());
  const Monotonic spin_until = std::min(limit, active.empty() ? time : time + settings.spin);
  for (std::uint32_t look = 1; time < spin_until; ++look) {
    if (anything_ready()) return true;
    spin_pause();
    if (look % kSpinsPerPoll != 0) continue;
    note(waiter.wait(kNoWait));
    time = now();
  }
  if (time < limit && arm()) {
    ++counters.sleeps;
    note(waiter.wait(limit));
    time = now();
  }
  expire(time);
  return time < deadline || anything_ready();
}

int Endpoint::wait_fd() const {
  return state_->waiter.fd();
}
bool Endpoint::prepare_wait() {
  state_->wake_receivers();
  return state_->arm();
}
Monotonic Endpoint::next_deadline() const {
  return state_->calls.next_deadline();
}

} // namespace mohhos::ipc
