// Receiving: the rings that are active, by rank and in turn, and what becomes of a message that is
// the Endpoint's own affair.
//
// A ring is either active (polled by us, not armed) or idle (armed: its sender rings). A sleep arms
// the active ones only, so a thousand idle channels cost nothing; a bell makes one active again.
#include <algorithm>
#include <cstring>

#include "base/check.hpp"
#include "ipc/endpoint_state.hpp"
#include "ipc/shared_word.hpp"
#include "ipc/tap.hpp"

namespace mohhos::ipc {
namespace {

// A busy ring must not starve the link and the idle channels.
constexpr std::uint32_t kReceivesPerPoll = 256;
// Of a peer's sentence: it may say gigabytes, and they would be ours.
constexpr std::size_t kLongestRefusal = 4096;
// Messages that share a look at the clock, when they lie in the ring together.
constexpr std::uint32_t kMessagesPerLook = 7;

Monotonic now() {
  return std::chrono::steady_clock::now();
}

} // namespace

Receiving* Endpoint::State::look_up_receiving(ChannelId id) {
  const auto found = receiving.find(id.value);
  if (found == receiving.end()) return nullptr;
  last_receiving = found->second.get();
  return last_receiving;
}

void Endpoint::State::activate(Receiving& channel) {
  if (channel.active) return;
  channel.channel.ring().disarm();
  join_service(channel);
}

void Endpoint::State::join_service(Receiving& channel) {
  end_turn();
  channel.active = true;
  services[rank_of(channel.lane)].active.push_back(&channel);
  busy |= 1U << rank_of(channel.lane);
}

void Endpoint::State::deactivate(Receiving& channel) {
  end_turn();
  channel.active = false;
  const std::size_t rank = rank_of(channel.lane);
  std::erase(services[rank].active, &channel);
  if (services[rank].active.empty()) busy &= ~(1U << rank);
}

// --- messages ---

// The clock costs as much as the rest: of messages that come together every eighth looks. One that
// was sent after the last look did not lie there then (or its sender lies, at a look's cost).
inline void Endpoint::State::look_at_clock(Receiving& from, std::uint64_t sent_ns) {
  const bool timed = from.untimed-- == 0;
  if (timed || sent_ns > time_ns) time_ns = clock.now();
  if (!timed) return;
  from.untimed = kMessagesPerLook;
  // A clock of another process, hostile perhaps: what comes from the future took no time.
  from.channel.ring().note_latency(time_ns > sent_ns ? time_ns - sent_ns : 0);
}

// Inlined in receive(): the usual message's way.
inline Endpoint::State::Next Endpoint::State::take(Receiving& from, Message& message) {
  if (const auto outcome = from.channel.next(message); outcome != RingReceiver::Outcome::Message)
      [[unlikely]]
    return take_nothing(from, outcome);
  ++counters.received;
  from.idle_bells = 0;
  if (message.info.generation == 0) message.info.generation = from.peer.generation.value;
  look_at_clock(from, message.info.timestamp_ns);
  message.sender = from.peer.id;
  message.channel = from.id;
  message.received_ns = time_ns;
  if (from.tap || from.lane == Lane::Reply || message.info.correlation != 0) [[unlikely]]
    return take_special(from, message);
  from.held_end = message.end;
  from.own_waits = false; // it lies before this one
  return Next::Message;
}

Endpoint::State::Next Endpoint::State::take_from(Receiving& from, Message& message) {
  return take(from, message);
}

// The usual case first: rings of one rank only, and the one in turn has a message.
Endpoint::State::Next Endpoint::State::next_message(Message& message) {
  if (const Ranks ranks = busy_ranks(); ranks.single()) [[likely]] {
    Service& service = services[*ranks.begin()];
    if (service.turn < service.active.size()) [[likely]] {
      const bool is_last = service.active.size() == 1;
      const Next next = take_from(*service.active[service.turn], message);
      if (next != Next::Nothing) service.charge();
      if (next != Next::Nothing || is_last) return next;
    }
  }
  return next_in_general(message);
}

Endpoint::State::Next Endpoint::State::next_in_general(Message& message) {
  for (;;) {
    bool others = false; // have messages perhaps, and no credit
    for (const std::size_t rank : busy_ranks()) {
      Service& service = services[rank];
      if (service.credit == 0) {
        others = true;
      } else if (const Next next = next_of(service, message); next != Next::Nothing) {
        service.charge();
        return next;
      }
    }
    if (!others) return Next::Nothing;
    for (std::size_t rank = 0; rank < services.size(); ++rank)
      services[rank].credit = kShares[rank];
  }
}

Endpoint::State::Next Endpoint::State::next_of(Service& service, Message& message) {
  for (std::size_t empty = 0; empty < service.active.size();) {
    if (service.turn >= service.active.size()) service.turn = 0;
    const std::size_t before = service.active.size();
    const Next next = take_from(*service.active[service.turn], message);
    if (next != Next::Nothing) return next;
    service.taken = 0;
    if (service.active.size() == before) { // else it ended, and another one has its place
      if (before > 1) end_turn();          // what was planned was for this one
      ++service.turn;
      ++empty;
    }
  }
  return Next::Nothing;
}

Endpoint::State::Next Endpoint::State::take_nothing(Receiving& from,
                                                    RingReceiver::Outcome outcome) {
  if (outcome == RingReceiver::Outcome::Broken) {
    break_receiving(from, from.channel.ring().breach());
    return Next::Nothing;
  }
  from.untimed = 0;
  if (from.calls_fail) fail_calls(from.peer.id, *std::exchange(from.calls_fail, std::nullopt));
  if (from.ending && from.channel.all_released()) end_receiving(from.id);
  return Next::Nothing;
}

Endpoint::State::Next Endpoint::State::take_special(Receiving& from, Message& message) {
  if (from.tap) copy_to_tap(from, message);
  if (from.lane == Lane::Reply &&
      (message.info.type != MessageType::DataResponse || message.info.correlation == 0)) {
    release_own(from, message.end, message.number); // nobody will see it
    break_receiving(from, Breach::NotAReply);
    return Next::Nothing;
  }
  if (message.info.correlation != 0 && take_itself(from, message)) return Next::Again;
  from.held_end = message.end;
  from.own_waits = false; // it lies before this one
  return Next::Message;
}

bool Endpoint::State::take_itself(Receiving& from, const Message& message) {
  if (message.info.type == MessageType::DataResponse) {
    take_answer(from, message);
    return true;
  }
  if (message.info.cancels) {
    if (message.info.attachment != 0) let_go_memory(message);
    release_own(from, message.end, message.number);
    if (on_cancel) on_cancel(reply_to(message));
    return true;
  }
  // The answer would interest nobody any more.
  if (message.info.deadline_ns != 0 && message.info.deadline_ns < clock.now()) {
    ReceiverCounters& mine = from.channel.ring().counters();
    store_relaxed(&mine.expired, mine.expired + 1);
    if (message.info.attachment != 0) let_go_memory(message);
    release_own(from, message.end, message.number);
    return true;
  }
  if (message.info.type != MessageType::EventNotify) ++from.requests;
  return false;
}

// The callback may do anything, also end this channel: nothing of it is used afterwards but its id.
// When it makes a call and waits, the next answers are taken out while this one is in hand: all are
// released together, or the callback's would be overwritten.
void Endpoint::State::take_answer(Receiving& from, const Message& message) {
  ++from.answers_in_hand;
  from.own_end = message.end;
  from.own_number = message.number;
  const auto callback = calls.take(message.info.correlation, from.peer.id);
  if (!callback) ++counters.late_answers;
  if (callback && message.info.failed) {
    const auto said = message.payload.first(std::min(message.payload.size(), kLongestRefusal));
    const std::vector<std::byte> words(said.begin(), said.end());
    (*callback)(fail(Code::PluginFailed, "{}: {}", from.peer.name,
                     std::string_view(reinterpret_cast<const char*>(words.data()), words.size())));
  } else if (callback) {
    (*callback)(&message);
  }
  if (message.info.attachment != 0) let_go_memory(message);
  Receiving* const still = find_receiving(message.channel);
  if (still == nullptr || --still->answers_in_hand != 0) return;
  release_own(*still, still->own_end, still->own_number);
}

// Never waits for the recorder: what it has no room for is counted and told with the next copy.
void Endpoint::State::copy_to_tap(Receiving& from, const Message& message) {
  Sending* const tap = find_sending(from.tap);
  if (tap == nullptr) { // the recorder is gone
    from.tap = {};
    return;
  }
  RingSender& ring = tap->channel.ring();
  const MessageInfo& info = message.info;
  const unsigned flags = (info.failed ? kTapFailed : 0U) | (info.cancels ? kTapCancels : 0U) |
                         (info.redelivered ? kTapRedelivered : 0U) |
                         (info.durable ? kTapDurable : 0U);
  const TapHeader header{.channel = from.id.value,
                         .id = info.id,
                         .sender = message.sender.value,
                         .sent_ns = info.timestamp_ns,
                         .received_ns = clock.now(), // the message's own may be of a group
                         .correlation = info.correlation,
                         .deadline_ns = info.deadline_ns,
                         .attachment = info.attachment,
                         .missed = from.tap_missed,
                         .type = static_cast<std::uint32_t>(info.type),
                         .priority = static_cast<std::uint32_t>(info.priority),
                         .event = info.event,
                         .generation = info.generation,
                         .flags = flags,
                         .lane = static_cast<std::uint32_t>(from.lane)};
  const std::uint64_t size = sizeof header + message.payload.size();
  std::span<std::byte> space;
  if (size > UINT32_MAX ||
      ring.loan(static_cast<std::uint32_t>(size), {}, space) != RingSender::Outcome::Ok) {
    ++ring.counters().dropped;
    ++from.tap_missed;
    return;
  }
  std::memcpy(space.data(), &header, sizeof header);
  std::ranges::copy(message.payload, space.begin() + sizeof header);
  from.tap_missed = 0;
  tap->channel.commit();
}

std::vector<Endpoint::MissedCopies> Endpoint::missed_copies() const {
  std::vector<MissedCopies> all;
  for (const auto& [id, from] : state_->receiving)
    if (from->lane == Lane::Tap) all.push_back({from->id, from->channel.dropped()});
  return all;
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
  if (channel.channel.all_released()) {
    end_receiving(channel.id);
  } else {
    deactivate(channel); // release() of the last message ends it
  }
}

void Endpoint::State::end_receiving(ChannelId id) {
  const auto found = receiving.find(id.value);
  CHECK(found != receiving.end());
  Receiving& channel = *found->second;
  fail_calls(channel.peer.id, *channel.ending);
  const bool copies = channel.lane == Lane::Tap;
  const bool told = channel.lane == Lane::Normal || channel.lane == Lane::Lossy || copies ||
                    channel.ending->code == Code::Malformed;
  if (told)
    queue(ends, Ended{.channel = id,
                      .peer = channel.peer.id,
                      .role = Role::Receive,
                      .why = *channel.ending,
                      .missed = copies ? channel.channel.dropped() : 0});
  let_go_memories(id);
  waiter.remove_bell(channel.channel.data_bell());
  deactivate(channel);
  if (last_receiving == &channel) last_receiving = nullptr;
  receiving.erase(found);
}

void Endpoint::State::release_own(Receiving& from, std::uint64_t end, std::uint64_t number) {
  const auto held = static_cast<std::int64_t>(from.held_end - from.channel.ring().tail());
  from.own_waits = held > 0;
  from.own_end = end;
  from.own_number = number;
  // (An answer in hand, when it is done with, takes this along.)
  if (!from.own_waits && from.answers_in_hand == 0) release(from, end, number);
}

void Endpoint::State::release(Receiving& from, std::uint64_t end, std::uint64_t number) {
  if (from.own_waits && end == from.held_end && from.answers_in_hand == 0) [[unlikely]] {
    from.own_waits = false;
    end = from.own_end;
    number = from.own_number;
  }
  from.channel.release(end, number);
  if (!from.ending || !from.channel.all_released()) return;
  if (from.channel.ring().breach() != Breach::None)
    end_receiving(from.id);
  else
    activate(from); // the next receive() finds it empty and ends it
}

void Endpoint::release(const Message& message) {
  State& state = *state_;
  Receiving* const from = state.find_receiving(message.channel);
  CHECK(from != nullptr); // a channel lives until its messages are released
  if (message.info.attachment != 0) [[unlikely]]
    state.let_go_memory(message);
  state.release(*from, message.end, message.number);
}

// --- receive ---

// `result` is the caller's own place: the message is written there once, and copied nowhere.
Result<std::optional<Message>> Endpoint::receive(Monotonic deadline) {
  State& state = *state_;
  ++state.looks;
  Result<std::optional<Message>> result(std::in_place, std::in_place);
  State::Next next = State::Next::NotLooked;
  if (state.at_hand != 0) [[likely]] {
    --state.at_hand;
    next = state.take(*state.in_turn, **result);
  }
  if (next != State::Next::Message) [[unlikely]]
    state.receive_in_general(next, deadline, result);
  return result;
}

void Endpoint::State::plan_turn() {
  const Ranks ranks = busy_ranks();
  if (!ranks.single() || has_news() || !unlooked.empty()) return;
  Service& service = services[*ranks.begin()];
  if (service.turn >= service.active.size()) return;
  in_turn = service.active[service.turn];
  alone = service.active.size() == 1;
  at_hand = std::min(until_poll, alone ? kReceivesPerPoll : service.left());
  until_poll -= at_hand;
  service.charge_ahead(at_hand);
}

void Endpoint::State::receive_in_general(Next found, Monotonic deadline,
                                         Result<std::optional<Message>>& result) {
  bool busy_itself = found == Next::Again; // with what the owner does not see
  if (busy_itself && called_back()) {
    *result = std::nullopt;
    return;
  }
  if (!unlooked.empty()) look_at_receivers();
  for (;;) {
    if (until_poll == 0) share_turn();
    if (until_poll-- == 0) {
      until_poll = kReceivesPerPoll;
      (void)note(waiter.wait(kNoWait));
      const Monotonic time = now();
      expire(time);
      if (busy_itself && time >= deadline) break; // a flood of it must not hold the owner
    }
    if (has_news()) {
      deliver();
      if (std::exchange(interrupted, false)) break;
    }
    // A ring that was just found empty, and has no other beside it, is not looked at again.
    const bool looked = std::exchange(found, Next::NotLooked) == Next::Nothing && alone;
    const Next next = looked ? Next::Nothing : next_message(**result);
    if (next == Next::Message) {
      if (at_hand == 0) plan_turn();
      return;
    }
    if (next == Next::Again) {
      busy_itself = true;
    } else if (link_error && records.empty()) {
      result = std::unexpected(*link_error);
      return;
    } else if (!wait(deadline)) {
      break;
    }
    if (called_back()) break;
  }
  *result = std::nullopt;
}

void Endpoint::hold_messages(bool hold) {
  state_->holding = hold;
  state_->end_turn();
}

void Endpoint::interrupt() {
  state_->interrupted = true;
}

void Endpoint::State::deliver() {
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
}

void Endpoint::State::deliver_finished() {
  while (!finished.empty()) {
    const FinishedCall call = std::move(finished.front());
    finished.pop_front();
    call.callback(std::unexpected(call.why));
  }
}

void Endpoint::State::expire(Monotonic time) {
  if (time >= next_sync) look_at_syncs(time);
  if (time >= next_say) say_unsaid();
  for (AnswerCallback& callback : calls.take_expired(time))
    queue(finished, FinishedCall{std::move(callback), {Code::TimedOut, "no answer came in time"}});
}

} // namespace mohhos::ipc
