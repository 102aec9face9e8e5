// Sending: finding or opening the ring of a message's lane, loans, and waiting for space.
#include <algorithm>
#include <bit>

#include "ipc/copy.hpp"
#include "ipc/endpoint_state.hpp"
#include "ipc/shared_word.hpp"

namespace mohhos::ipc {
namespace {

// A receiver that releases without coming back to an empty ring rings no bell; so a waiting sender
// looks itself.
constexpr auto kSpaceLook = std::chrono::milliseconds(1);
constexpr std::size_t kMostEndedLent = 64;

Monotonic now() {
  return std::chrono::steady_clock::now();
}

// The ring size that holds the wish, or 0: the broker's default.
std::uint64_t ring_size_for(std::uint64_t wish, const EndpointSettings& settings) {
  const std::uint64_t bytes = wish != 0 ? wish : settings.ring_bytes;
  return bytes == 0 ? 0 : std::bit_ceil(std::clamp(bytes, kMinRing, kMaxRing));
}

} // namespace

Sending* Endpoint::State::look_up_sending(ChannelId id) {
  const auto found = sending.find(id.value);
  if (found == sending.end()) return nullptr;
  last_sending = found->second.get();
  return last_sending;
}

Sending* Endpoint::State::sending_to(PluginId peer, Lane lane) {
  const auto found = sending_by_peer.find({peer, lane});
  return found == sending_by_peer.end() ? nullptr : find_sending(found->second);
}

// --- opening ---

Result<ChannelId> Endpoint::State::open_channel(const OpenChannel& question, Monotonic deadline) {
  TRY(const LinkRecord record, ask(question, deadline));
  TRY(check_answer(record, LinkType::ChannelOpened));
  const ChannelId id{record.as<ChannelOpened>().channel_id};
  if (find_sending(id) == nullptr)
    return fail(Code::PeerGone, "channel {} ended as soon as it was open", id.value);
  return id;
}

Result<ChannelId> Endpoint::open_channel(PluginId target, Deadline deadline,
                                         std::uint64_t ring_bytes) {
  if (const Sending* const known = state_->sending_to(target)) return known->id;
  OpenChannel question;
  question.target_id = target.value;
  question.ring_bytes = ring_size_for(ring_bytes, state_->settings);
  return state_->open_channel(question, deadline.at());
}

Result<ChannelId> Endpoint::open_channel(std::string_view name, Deadline deadline,
                                         std::uint64_t ring_bytes) {
  for (const auto& [id, channel] : state_->sending)
    if (channel->lane == Lane::Normal && channel->peer.type && channel->peer.name == name)
      return channel->id;
  if (name.empty() || name.size() >= kNameSize)
    return fail(Code::NotFound, "no plugin can be named '{}'", name);
  OpenChannel question;
  put_text(question.target_name, name);
  question.ring_bytes = ring_size_for(ring_bytes, state_->settings);
  return state_->open_channel(question, deadline.at());
}

Result<Sending*> Endpoint::State::lane_beside(Sending& base, Lane lane, Monotonic deadline) {
  ChannelId& known = base.lanes[static_cast<std::size_t>(lane)];
  if (Sending* const there = known ? find_sending(known) : nullptr) return there;
  const ChannelId id = base.id;
  OpenChannel question;
  question.target_id = base.peer.id.value;
  const RingSender& ring = base.channel.ring();
  question.ring_bytes = ring.has_laps() ? 0 : ring.capacity(); // 0: of the usual size, too
  question.lane = lane;
  // 'Refuse when full' still leaves the manager time to open the lane.
  TRY(const ChannelId opened,
      open_channel(question, deadline == kNoWait ? now() + kOpenTime : deadline));
  Sending* const still = find_sending(id); // it may have ended while we waited
  if (still == nullptr) return fail(Code::PeerGone, "channel {} has ended", id.value);
  still->lanes[static_cast<std::size_t>(lane)] = opened;
  return find_sending(opened);
}

std::optional<Peer> Endpoint::peer(ChannelId channel) const {
  if (const Sending* const out = state_->find_sending(channel)) return out->peer;
  if (const Receiving* const in = state_->find_receiving(channel)) return in->peer;
  return std::nullopt;
}

bool Endpoint::acknowledged(ChannelId channel) const {
  const auto drained = [this](ChannelId id) {
    const Sending* const out = id ? state_->find_sending(id) : nullptr;
    return out == nullptr || out->channel.ring().drained();
  };
  const Sending* const base = state_->find_sending(channel);
  return base == nullptr ||
         (base->channel.ring().drained() && std::ranges::all_of(base->lanes, drained));
}

std::optional<Lane> Endpoint::lane(ChannelId channel) const {
  if (const Sending* const out = state_->find_sending(channel)) return out->lane;
  if (const Receiving* const in = state_->find_receiving(channel)) return in->lane;
  return std::nullopt;
}

// --- loan, commit ---

// `bytes` is the caller's own place: the span is written there, word by word. (Copied as a whole
// right after that it would wait until both words are stored: 14 ns.)
Result<std::span<std::byte>> Endpoint::loan(ChannelId channel, std::uint32_t size,
                                            const Outgoing& about, Deadline deadline) {
  Result<std::span<std::byte>> bytes(std::in_place);
  if (state_->lend_at_hand(channel, size, about, *bytes) == nullptr) [[unlikely]]
    state_->lend_in_general(channel, size, about, deadline, bytes);
  return bytes;
}

Sending* Endpoint::State::lend_at_hand(ChannelId channel, std::uint32_t size, const Outgoing& about,
                                       std::span<std::byte>& bytes) {
  Sending* const out = find_sending(channel);
  if (out == nullptr || about.durable || about.attachment != 0 ||
      (about.priority != Priority::Normal && out->lane == Lane::Normal) ||
      out->channel.ring().loan(size, about, bytes, spacing_of(*out)) != RingSender::Outcome::Ok)
      [[unlikely]]
    return nullptr;
  if (out->lent != out->id) out->lent = out->id;
  out->more = about.more;
  out->lent_at = looks;
  return out;
}

void Endpoint::State::lend_in_general(ChannelId channel, std::uint32_t size, const Outgoing& about,
                                      const Deadline& deadline,
                                      Result<std::span<std::byte>>& bytes) {
  if (auto lent = lend(channel, size, about, deadline.at(), *bytes); !lent)
    bytes = std::unexpected(std::move(lent).error());
}

Result<> Endpoint::State::lend(ChannelId channel, std::uint32_t size, const Outgoing& about,
                               Monotonic deadline, std::span<std::byte>& bytes) {
  Sending* const base = find_sending(channel);
  if (base == nullptr) return fail(Code::PeerGone, "channel {} has ended", channel.value);
  Sending* out = base;
  if (about.priority != Priority::Normal && base->lane == Lane::Normal) [[unlikely]] {
    TRY(out, lane_beside(*base, static_cast<Lane>(about.priority), deadline));
  }
  if (about.durable && out->lane == Lane::Lossy) [[unlikely]]
    return fail(Code::Invalid, "an event that may be lost cannot be durable");
  if (about.attachment != 0 && (about.durable || out->lane == Lane::Lossy)) [[unlikely]]
    return fail(Code::Invalid, "a memory can go neither with what is durable nor with what may be "
                               "lost: it ends with the daemon, and its receiver lets go of it");
  base->lent = out->id;
  out->more = about.more;
  if (out->channel.ring().loan(size, about, bytes, spacing_of(*out)) != RingSender::Outcome::Ok)
      [[unlikely]]
    TRY(wait_for_space(out->id, size, about, deadline, bytes));
  out->lent_at = looks;
  if (about.attachment != 0) [[unlikely]]
    return send_memory(out->id, about.attachment, deadline);
  return {};
}

Error Endpoint::State::break_sending(Sending& out) {
  Error why{Code::Malformed, fmt::format("{} broke the ring: {}", out.peer.name,
                                         breach_text(out.channel.ring().breach()))};
  CloseChannel close;
  close.channel_id = out.id.value;
  close.reason = CloseReason::Broken;
  put_text(close.text, why.text);
  (void)send_link_record(link.get(), close);
  end_sending(out.id, why);
  return why;
}

Result<> Endpoint::State::wait_for_space(ChannelId id, std::uint32_t size, const Outgoing& about,
                                         Monotonic deadline, std::span<std::byte>& bytes) {
  look_at_receivers();
  const Monotonic spin_until = now() + settings.spin;
  bool armed = false;
  for (std::uint32_t look = 0;; ++look) {
    Sending* const out = find_sending(id); // it may have ended while we waited
    if (out == nullptr) return fail(Code::PeerGone, "channel {} ended while it was full", id.value);
    RingSender& ring = out->channel.ring();
    const auto outcome = ring.loan(size, about, bytes, spacing_of(*out));
    if (outcome != RingSender::Outcome::Full && armed) ring.disarm();
    switch (outcome) {
    case RingSender::Outcome::Ok: return {};
    case RingSender::Outcome::TooLarge:
      return fail(Code::TooLarge, "a message of {} bytes; this channel takes {}", size,
                  largest_payload(ring.capacity()));
    case RingSender::Outcome::Broken: return std::unexpected(break_sending(*out));
    case RingSender::Outcome::Full: break;
    }
    if (deadline == kNoWait) {
      ++(about.may_drop ? ring.counters().dropped : ring.counters().refused);
      return fail(Code::Refused, "the ring to {} is full", out->peer.name);
    }
    if (look == 0) {
      ++counters.space_waits;
      ++ring.counters().space_waits;
    }
    if (!armed && (look % 64 != 63 || now() < spin_until)) {
      spin_pause();
      continue;
    }
    const Monotonic time = now();
    if (time >= deadline) {
      ring.disarm();
      ++ring.counters().refused;
      return fail(Code::TimedOut, "the ring to {} stayed full", out->peer.name);
    }
    if (!armed) {
      ring.arm();
      if (out->idle_bells != 0) --out->idle_bells; // one ring for each time is right
      armed = true;
      continue; // the look after arming is the one that counts
    }
    note(waiter.wait(std::min(deadline, time + kSpaceLook)));
    if (Sending* const still = find_sending(id)) {
      still->channel.ring().disarm(); // each sleep has a number of its own
      still->channel.ring().arm();
      if (still->idle_bells != 0) --still->idle_bells;
    }
  }
}

inline std::uint64_t Endpoint::State::commit(Sending& out) {
  if (!sent_lately) sent_lately = true;
  if (out.more && !out.owes_look) [[unlikely]]
    owe_look(out);
  if (out.channel.ring().loan_is_durable()) [[unlikely]]
    return commit_durable(out);
  return out.channel.commit(out.more);
}

std::uint64_t Endpoint::commit(ChannelId channel) {
  Sending* out = state_->find_sending(channel);
  if (out != nullptr && out->lent != out->id) [[unlikely]]
    out = state_->find_sending(out->lent);
  return out == nullptr ? 0 : state_->commit(*out); // it ended between loan and commit
}

std::uint64_t Endpoint::State::commit_durable(Sending& out) {
  const std::uint64_t message = out.channel.commit(out.more);
  out.durable_to = out.channel.ring().head();
  return message;
}

void Endpoint::State::owe_look(Sending& out) {
  out.owes_look = true;
  queue(unlooked, out.id);
}

void Endpoint::flush() {
  state_->look_at_receivers();
}

void Endpoint::State::look_at_receivers() noexcept {
  for (const ChannelId id : unlooked) {
    Sending* const out = find_sending(id);
    if (out == nullptr) continue;
    out->owes_look = false;
    out->channel.wake();
  }
  unlooked.clear();
}

Result<std::uint64_t> Endpoint::send(ChannelId channel, const Outgoing& about,
                                     std::span<const std::byte> bytes, Deadline deadline) {
  if (bytes.size() > UINT32_MAX) return fail(Code::TooLarge, "a message of {} bytes", bytes.size());
  const auto size = static_cast<std::uint32_t>(bytes.size());
  std::span<std::byte> space;
  if (Sending* const out = state_->lend_at_hand(channel, size, about, space)) [[likely]] {
    copy_payload(space, bytes);
    return state_->commit(*out);
  }
  TRY(space, loan(channel, size, about, deadline));
  copy_payload(space, bytes);
  return commit(channel);
}

// --- ending, resting ---

void Endpoint::State::end_sending(ChannelId id, Error why) {
  const auto found = sending.find(id.value);
  if (found == sending.end()) return;
  const PluginId peer = found->second->peer.id;
  const Lane lane = found->second->lane;
  waiter.remove_bell(found->second->channel.space_bell());
  add_counts(*found->second, counters);
  if (last_sending == found->second.get()) last_sending = nullptr;
  sending_by_peer.erase({peer, lane});
  if (found->second->channel.ring().has_loan()) { // somebody may be writing into this ring
    if (ended_lent.size() == kMostEndedLent) ended_lent.pop_front();
    ended_lent.push_back(std::move(found->second));
  }
  sending.erase(found);
  groups.clear();
  if (lane != Lane::Normal && lane != Lane::Lossy) return; // the Normal lane's end is told
  fail_calls_once_drained(peer, why);
  queue(ends, Ended{id, peer, Role::Send, std::move(why)});
}

// A ring that did not move from one look to the next is idle. One that moved, but made no long lap,
// does not need what the long laps before took.
void Endpoint::State::return_idle_memory() {
  bool used = sent_lately;
  sent_lately = false;
  for (auto& [id, out] : sending) {
    RingSender& ring = out->channel.ring();
    if (ring.head() == out->returned_head || ring.has_loan()) continue;
    const bool idle = ring.head() == out->seen_head && ring.drained();
    const bool shrank =
        ring.long_laps() == out->seen_long_laps && ring.long_laps() != out->returned_long_laps;
    if (idle || shrank) {
      out->channel.return_memory();
      out->returned_long_laps = ring.long_laps();
    }
    if (idle) out->returned_head = ring.head();
    out->seen_head = ring.head();
    out->seen_long_laps = ring.long_laps();
    used |= !idle;
  }
  idle_look = IdleLook::None;
  sent_lately = used; // so that the next wait plans another look
}

} // namespace mohhos::ipc
