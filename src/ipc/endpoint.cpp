#include "ipc/endpoint.hpp"

#include <algorithm>
#include <bit>

#include "base/check.hpp"
#include "ipc/endpoint_state.hpp"
#include "ipc/shared_word.hpp"

namespace mohhos::ipc {
namespace {

constexpr auto kAskAgain =
    std::chrono::milliseconds(250); // the manager may have been replaced meanwhile
// A receiver that releases without coming back to an empty ring rings no bell; so a waiting sender
// looks itself.
constexpr auto kSpaceLook = std::chrono::milliseconds(1);
constexpr int kRecordsPerLook = 16;

Monotonic now() {
  return std::chrono::steady_clock::now();
}

Peer peer_of(const ChannelOpened& record) {
  Peer peer{.id = PluginId{record.peer_id},
            .name = record.peer_name,
            .type = {},
            .generation = {record.peer_generation}};
  if (record.peer_type < model::kPluginTypes.size())
    peer.type = static_cast<model::PluginType>(record.peer_type);
  return peer;
}

// The ring size that holds the wish, or 0: the broker's default.
std::uint64_t ring_size_for(std::uint64_t wish, const EndpointSettings& settings) {
  const std::uint64_t bytes = wish != 0 ? wish : settings.ring_bytes;
  return bytes == 0 ? 0 : std::bit_ceil(std::clamp(bytes, kMinRing, kMaxRing));
}

Error error_of(const ChannelClosed& record, const Peer& peer) {
  switch (record.reason) {
  case CloseReason::PeerRestarted:
    return {Code::PeerRestarted, fmt::format("{} was restarted", peer.name)};
  case CloseReason::Revoked:
    return {Code::Denied, fmt::format("the channel with {} was revoked", peer.name)};
  case CloseReason::Broken:
    return {Code::PeerGone, fmt::format("{} closed the channel as broken", peer.name)};
  case CloseReason::PeerGone: break;
  }
  return {Code::PeerGone, fmt::format("{} is gone", peer.name)};
}

} // namespace

Endpoint::State::State(sys::Fd link_fd, Waiter epoll, const EndpointSettings& options)
    : link(std::move(link_fd)), waiter(std::move(epoll)), settings(options), calls(monotonic_ns()) {
}

Endpoint::Endpoint(std::unique_ptr<State> state) : state_(std::move(state)) {}
Endpoint::~Endpoint() = default;

Result<std::unique_ptr<Endpoint>> Endpoint::open(sys::Fd link, const EndpointSettings& settings) {
  TRY(Waiter waiter, Waiter::open(link.get()));
  auto state = std::make_unique<State>(std::move(link), std::move(waiter), settings);
  return std::unique_ptr<Endpoint>(new Endpoint(std::move(state)));
}

void Endpoint::on_record(std::function<void(const LinkRecord&)> callback) {
  state_->on_record = std::move(callback);
}
void Endpoint::on_ended(std::function<void(const Ended&)> callback) {
  state_->on_ended = std::move(callback);
}
int Endpoint::link_fd() const {
  return state_->link.get();
}

EndpointCounters Endpoint::counters() const {
  EndpointCounters counters = state_->counters;
  for (const auto& [id, channel] : state_->sending) counters.bells += channel->channel.bells();
  return counters;
}

// --- the link ---

// Some records only: each may bring descriptors, and what is closed gives its own back when its
// ring was read, in between. The link stays ready while there are more.
void Endpoint::State::read_link() {
  for (int i = 0; i < kRecordsPerLook && !link_error; ++i) {
    auto record = receive_link_record(link.get(), LinkSide::Manager);
    if (!record) {
      link_error = std::move(record).error();
      waiter.forget_link(link.get());
    } else if (!*record) {
      return;
    } else {
      take_record(*std::move(*record));
    }
  }
}

void Endpoint::State::take_record(LinkRecord record) {
  const bool answers = asked != 0 && record.header.sequence == asked;
  switch (record.type()) {
  case LinkType::ChannelOpened: take_opened(record); break;
  case LinkType::ChannelClosed: take_closed(record.as<ChannelClosed>()); break;
  case LinkType::GroupStale: groups.clear(); break;
  case LinkType::ChannelRefused:
  case LinkType::GroupReady: break;
  default: records.push_back(std::move(record)); return;
  }
  if (answers && !link_answer) link_answer = std::move(record);
}

void Endpoint::State::take_opened(LinkRecord& record) {
  const auto opened = record.as<ChannelOpened>();
  ChannelEnd end{std::move(record.fds[0]), std::move(record.fds[1]), std::move(record.fds[2]),
                 std::move(record.fds[3])};
  auto attached = opened.role == Role::Send ? attach_sending(opened, std::move(end))
                                            : attach_receiving(opened, std::move(end));
  if (attached) return;
  CloseChannel close;
  close.channel_id = opened.channel_id;
  close.reason = CloseReason::Broken;
  put_text(close.text, attached.error().text);
  (void)send_link_record(link.get(), close); // if the link is gone, so is the channel
}

// A record for a channel that is here already is an answer given twice: its descriptors are closed.
Result<> Endpoint::State::attach_sending(const ChannelOpened& record, ChannelEnd end) {
  if (Sending* const known = find_sending(ChannelId{record.channel_id})) {
    known->peer = peer_of(record);
    return {};
  }
  TRY(SendingChannel channel,
      SendingChannel::attach(std::move(end), record.ring_bytes, record.ring_generation));
  TRY(waiter.add_bell(channel.space_bell(), WakeKind::Space, record.channel_id));
  sending[record.channel_id] = std::make_unique<Sending>(
      Sending{ChannelId{record.channel_id}, peer_of(record), std::move(channel)});
  sending_by_peer[PluginId{record.peer_id}] = ChannelId{record.channel_id};
  return {};
}

Result<> Endpoint::State::attach_receiving(const ChannelOpened& record, ChannelEnd end) {
  if (Receiving* const known = find_receiving(ChannelId{record.channel_id})) {
    known->peer = peer_of(record);
    return {};
  }
  TRY(ReceivingChannel channel, ReceivingChannel::attach(std::move(end), record.ring_bytes));
  TRY(waiter.add_bell(channel.data_bell(), WakeKind::Data, record.channel_id));
  auto& place = receiving[record.channel_id];
  place = std::make_unique<Receiving>(Receiving{.id = ChannelId{record.channel_id},
                                                .peer = peer_of(record),
                                                .reply_only = record.reply_only != 0,
                                                .channel = std::move(channel),
                                                .ending = {},
                                                .calls_fail = {}});
  active.push_back(place.get()); // it may hold messages from before our time
  return {};
}

void Endpoint::State::take_closed(const ChannelClosed& record) {
  const ChannelId id{record.channel_id};
  const bool goes_on = record.reason == CloseReason::PeerRestarted;
  if (Sending* const channel = find_sending(id)) {
    const Error why = error_of(record, channel->peer);
    if (goes_on) {
      fail_calls_once_drained(channel->peer.id, why);
      ends.push_back({id, channel->peer.id, Role::Send, why});
    } else {
      end_sending(id, why);
    }
  } else if (Receiving* const source = find_receiving(id)) {
    const Error why = error_of(record, source->peer);
    if (goes_on) {
      ends.push_back({id, source->peer.id, Role::Receive, why});
    } else {
      source->ending = why; // what was sent before is still read
      activate(*source);
    }
  }
}

Result<LinkRecord> Endpoint::State::ask(std::span<const std::byte> question, std::uint32_t number,
                                        Monotonic deadline) {
  asked = number;
  link_answer.reset();
  wake_receivers();
  Monotonic again{};
  Result<LinkRecord> result = fail(Code::TimedOut, "the manager did not answer in time");
  for (;;) {
    read_link();
    if (link_answer) {
      result = *std::move(link_answer);
      break;
    }
    if (link_error) {
      result = std::unexpected(*link_error);
      break;
    }
    const Monotonic time = now();
    if (time >= again) {
      if (again != Monotonic{} && time >= deadline) break;
      // Refused: the manager's queue is full; there is another try.
      (void)send_link_bytes(link.get(), question);
      again = time + kAskAgain;
    }
    if (time >= deadline) break;
    note(waiter.wait(std::min(again, deadline)));
  }
  asked = 0;
  link_answer.reset();
  return result;
}

Result<> check_answer(const LinkRecord& record, LinkType expected) {
  if (record.type() == expected) return {};
  if (record.type() != LinkType::ChannelRefused)
    return fail(Code::Malformed, "the manager answered something else than what was asked");
  const auto refused = record.as<ChannelRefused>();
  return std::unexpected(Error{static_cast<Code>(refused.code), refused.text});
}

// --- sending ---

Sending* Endpoint::State::find_sending(ChannelId id) {
  if (last_sending != nullptr && last_sending->id == id) return last_sending;
  const auto found = sending.find(id.value);
  if (found == sending.end()) return nullptr;
  last_sending = found->second.get();
  return last_sending;
}

Sending* Endpoint::State::sending_to(PluginId peer) {
  const auto found = sending_by_peer.find(peer);
  return found == sending_by_peer.end() ? nullptr : find_sending(found->second);
}

Result<ChannelId> Endpoint::State::open_channel(const OpenChannel& question, Monotonic deadline) {
  TRY(const LinkRecord record, ask(question, deadline));
  TRY(check_answer(record, LinkType::ChannelOpened));
  const ChannelId id{record.as<ChannelOpened>().channel_id};
  if (find_sending(id) == nullptr)
    return fail(Code::Failed, "the channel's memory is not usable here; the manager was told why");
  return id;
}

Result<ChannelId> Endpoint::open_channel(PluginId target, Monotonic deadline,
                                         std::uint64_t ring_bytes) {
  if (const Sending* const known = state_->sending_to(target)) return known->id;
  OpenChannel question;
  question.target_id = target.value;
  question.ring_bytes = ring_size_for(ring_bytes, state_->settings);
  return state_->open_channel(question, deadline);
}

Result<ChannelId> Endpoint::open_channel(std::string_view name, Monotonic deadline,
                                         std::uint64_t ring_bytes) {
  for (const auto& [id, channel] : state_->sending)
    if (channel->peer.type && channel->peer.name == name) return channel->id;
  if (name.empty() || name.size() >= kNameSize)
    return fail(Code::NotFound, "no plugin can be named '{}'", name);
  OpenChannel question;
  put_text(question.target_name, name);
  question.ring_bytes = ring_size_for(ring_bytes, state_->settings);
  return state_->open_channel(question, deadline);
}

std::optional<Peer> Endpoint::peer(ChannelId channel) const {
  if (const Sending* const out = state_->find_sending(channel)) return out->peer;
  if (const Receiving* const in = state_->find_receiving(channel)) return in->peer;
  return std::nullopt;
}

Result<std::span<std::byte>> Endpoint::loan(ChannelId channel, std::uint32_t size,
                                            const Outgoing& about, Monotonic deadline) {
  Sending* const out = state_->find_sending(channel);
  if (out == nullptr) return fail(Code::PeerGone, "channel {} has ended", channel.value);
  std::span<std::byte> bytes;
  out->more = about.more;
  if (out->channel.ring().loan(size, about, bytes) == RingSender::Outcome::Ok) [[likely]]
    return bytes;
  TRY(state_->wait_for_space(channel, size, about, deadline, bytes));
  return bytes;
}

Result<> Endpoint::State::wait_for_space(ChannelId id, std::uint32_t size, const Outgoing& about,
                                         Monotonic deadline, std::span<std::byte>& bytes) {
  ++counters.space_waits;
  wake_receivers();
  const Monotonic spin_until = now() + settings.spin;
  bool armed = false;
  for (std::uint32_t look = 0;; ++look) {
    Sending* const out = find_sending(id); // it may have ended while we waited
    if (out == nullptr) return fail(Code::PeerGone, "channel {} ended while it was full", id.value);
    RingSender& ring = out->channel.ring();
    const auto outcome = ring.loan(size, about, bytes);
    if (outcome != RingSender::Outcome::Full && armed) ring.disarm();
    switch (outcome) {
    case RingSender::Outcome::Ok: return {};
    case RingSender::Outcome::TooLarge:
      return fail(Code::TooLarge, "a message of {} bytes; this channel takes {}", size,
                  largest_payload(ring.capacity()));
    case RingSender::Outcome::Broken: {
      Error why{Code::Malformed,
                fmt::format("{} broke the ring: {}", out->peer.name, breach_text(ring.breach()))};
      CloseChannel close;
      close.channel_id = id.value;
      close.reason = CloseReason::Broken;
      put_text(close.text, why.text);
      (void)send_link_record(link.get(), close);
      end_sending(id, why);
      return std::unexpected(std::move(why));
    }
    case RingSender::Outcome::Full: break;
    }
    if (deadline == kNoWait) return fail(Code::Refused, "the ring to {} is full", out->peer.name);
    if (!armed && (look % 64 != 63 || now() < spin_until)) {
      spin_pause();
      continue;
    }
    const Monotonic time = now();
    if (time >= deadline) {
      ring.disarm();
      return fail(Code::TimedOut, "the ring to {} stayed full", out->peer.name);
    }
    if (!armed) {
      ring.arm();
      armed = true;
      continue; // the look after arming is the one that counts
    }
    note(waiter.wait(std::min(deadline, time + kSpaceLook)));
    if (Sending* const still = find_sending(id)) {
      still->channel.ring().disarm(); // each sleep has a number of its own
      still->channel.ring().arm();
    }
  }
}

std::uint64_t Endpoint::commit(ChannelId channel) {
  Sending* const out = state_->find_sending(channel);
  if (out == nullptr) return 0; // it ended between loan and commit
  ++state_->counters.sent;
  if (out->more && !out->unwoken) {
    out->unwoken = true;
    state_->unwoken.push_back(channel);
  }
  return out->channel.commit(out->more);
}

void Endpoint::State::wake_receivers() noexcept {
  for (const ChannelId id : unwoken) {
    Sending* const out = find_sending(id);
    if (out == nullptr) continue;
    out->unwoken = false;
    out->channel.wake();
  }
  unwoken.clear();
}

Result<std::uint64_t> Endpoint::send(ChannelId channel, const Outgoing& about,
                                     std::span<const std::byte> bytes, Monotonic deadline) {
  if (bytes.size() > UINT32_MAX) return fail(Code::TooLarge, "a message of {} bytes", bytes.size());
  TRY(const std::span<std::byte> space,
      loan(channel, static_cast<std::uint32_t>(bytes.size()), about, deadline));
  std::ranges::copy(bytes, space.begin());
  return commit(channel);
}

void Endpoint::State::end_sending(ChannelId id, Error why) {
  const auto found = sending.find(id.value);
  if (found == sending.end()) return;
  const PluginId peer = found->second->peer.id;
  waiter.remove_bell(found->second->channel.space_bell());
  counters.bells += found->second->channel.bells();
  if (last_sending == found->second.get()) last_sending = nullptr;
  sending_by_peer.erase(peer);
  sending.erase(found);
  groups.clear();
  fail_calls_once_drained(peer, why);
  ends.push_back({id, peer, Role::Send, std::move(why)});
}

} // namespace mohhos::ipc
