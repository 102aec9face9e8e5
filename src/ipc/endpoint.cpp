#include "ipc/endpoint.hpp"

#include <algorithm>

#include "ipc/endpoint_state.hpp"

namespace mohhos::ipc {
namespace {

constexpr auto kAskAgain =
    std::chrono::milliseconds(250); // the manager may have been replaced meanwhile
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

Loss loss_of(Lane lane) {
  return lane == Lane::Lossy ? Loss::Oldest : Loss::Never;
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
void Endpoint::on_cancel(std::function<void(const ReplyTo&)> callback) {
  state_->on_cancel = std::move(callback);
}
void Endpoint::set_spin(std::chrono::microseconds spin) {
  state_->settings.spin = spin;
}
void Endpoint::set_rings(std::uint64_t ring_bytes, bool huge_pages) {
  state_->settings.ring_bytes = ring_bytes;
  state_->settings.huge_pages = huge_pages;
}
int Endpoint::link_fd() const {
  return state_->link.get();
}

EndpointCounters Endpoint::counters() const {
  EndpointCounters counters = state_->counters;
  for (const auto& [id, channel] : state_->sending) add_counts(*channel, counters);
  return counters;
}

// --- the link ---

// Some records only: each may bring descriptors, and what is closed gives its own back when its
// ring was read, in between. The link stays ready while there are more.
bool Endpoint::State::read_link() {
  for (int i = 0; i < kRecordsPerLook && !link_error; ++i) {
    auto record = receive_link_record(link.get(), LinkSide::Manager);
    if (!record) {
      link_error = std::move(record).error();
      waiter.forget_link(link.get());
    } else if (!*record) {
      return false;
    } else {
      take_record(*std::move(*record));
    }
  }
  return !link_error;
}

void Endpoint::State::take_record(LinkRecord record) {
  const bool answers = asked != 0 && record.header.sequence == asked;
  switch (record.type()) {
  case LinkType::ChannelOpened:
    if (auto usable = take_opened(record); !usable && answers && !link_answer)
      link_answer = std::unexpected(std::move(usable).error());
    break;
  case LinkType::ChannelClosed: take_closed(record.as<ChannelClosed>()); break;
  case LinkType::GroupStale: groups.clear(); break;
  case LinkType::ChannelRefused:
  case LinkType::Synced:
    if (!answers) take_synced(record);
    break;
  case LinkType::Subscribed:
  case LinkType::MemorySent:
  case LinkType::GroupReady: break;
  case LinkType::MemoryMade:
    if (!answers) return take_made_too_late(record.as<MemoryMade>());
    break;
  case LinkType::MemoryArrived: return take_arrived(record);
  case LinkType::Deadlock: take_deadlock(record.as<Deadlock>()); return;
  case LinkType::TapOpened: {
    const auto tap = record.as<TapOpened>();
    if (Receiving* const from = find_receiving(ChannelId{tap.channel_id})) {
      const ChannelId copies{tap.tap_channel_id};
      if (std::exchange(from->tap, copies) != copies) from->tap_missed = 0;
    } else {
      taps_to_come[tap.channel_id] = ChannelId{tap.tap_channel_id};
    }
    return;
  }
  default: queue(records, std::move(record)); return;
  }
  if (answers && !link_answer) link_answer = std::move(record);
}

// What cannot be used here is given back at once, and the manager told why.
Result<> Endpoint::State::take_opened(LinkRecord& record) {
  const auto opened = record.as<ChannelOpened>();
  Result<> attached = attach_opened(opened, record.fds);
  if (!attached) refuse_opened(opened, attached.error().text);
  return attached;
}

Result<> Endpoint::State::attach_opened(const ChannelOpened& opened, std::vector<sys::Fd>& fds) {
  if (fds.empty())
    return fail(Code::Exhausted, "no room for its descriptors: [limits] max_file_descriptors");
  ChannelEnd end{std::move(fds[0]), std::move(fds[1]), std::move(fds[2]), std::move(fds[3])};
  return opened.role == Role::Send ? attach_sending(opened, std::move(end))
                                   : attach_receiving(opened, std::move(end));
}

void Endpoint::State::refuse_opened(const ChannelOpened& opened, std::string_view why) {
  CloseChannel close;
  close.channel_id = opened.channel_id;
  close.reason = CloseReason::Broken;
  put_text(close.text, why);
  let_go_memories(ChannelId{opened.channel_id});
  (void)send_link_record(link.get(), close); // if the link is gone, so is the channel
}

// A record for a channel that is here already is an answer given twice: its descriptors are closed.
Result<> Endpoint::State::attach_sending(const ChannelOpened& record, ChannelEnd end) {
  if (Sending* const known = find_sending(ChannelId{record.channel_id})) {
    known->peer = peer_of(record);
    return {};
  }
  TRY(SendingChannel channel,
      SendingChannel::attach(std::move(end), record.ring_bytes, record.ring_generation,
                             {.loss = loss_of(record.lane), .huge_pages = settings.huge_pages}));
  TRY(waiter.add_bell(channel.space_bell(), WakeKind::Space, record.channel_id));
  const std::uint64_t head = channel.ring().head();
  const std::uint64_t sent = channel.ring().counters().sent;
  sending[record.channel_id] = std::make_unique<Sending>(Sending{.id = ChannelId{record.channel_id},
                                                                 .peer = peer_of(record),
                                                                 .lane = record.lane,
                                                                 .channel = std::move(channel),
                                                                 .lent = {},
                                                                 .seen_head = head,
                                                                 .returned_head = head,
                                                                 .sent_before_us = sent});
  sending_by_peer[{PluginId{record.peer_id}, record.lane}] = ChannelId{record.channel_id};
  return {};
}

Result<> Endpoint::State::attach_receiving(const ChannelOpened& record, ChannelEnd end) {
  if (Receiving* const known = find_receiving(ChannelId{record.channel_id})) {
    known->peer = peer_of(record);
    return {};
  }
  TRY(ReceivingChannel channel,
      ReceivingChannel::attach(std::move(end), record.ring_bytes,
                               {.loss = loss_of(record.lane), .huge_pages = settings.huge_pages}));
  TRY(waiter.add_bell(channel.data_bell(), WakeKind::Data, record.channel_id));
  const std::uint64_t tail = channel.ring().tail();
  auto& place = receiving[record.channel_id];
  place = std::make_unique<Receiving>(Receiving{.id = ChannelId{record.channel_id},
                                                .peer = peer_of(record),
                                                .lane = record.lane,
                                                .channel = std::move(channel),
                                                .held_end = tail,
                                                .gathered_to = tail,
                                                .tap = {},
                                                .ending = {},
                                                .calls_fail = {}});
  if (const auto tap = taps_to_come.extract(record.channel_id)) place->tap = tap.mapped();
  if (!arrived.empty()) let_go_old_memories(*place);
  // It may hold messages from before our time.
  join_service(*place);
  return {};
}

void Endpoint::State::take_closed(const ChannelClosed& record) {
  const ChannelId id{record.channel_id};
  const bool goes_on = record.reason == CloseReason::PeerRestarted;
  if (Sending* const channel = find_sending(id)) {
    const Error why = error_of(record, channel->peer);
    if (goes_on) {
      fail_calls_once_drained(channel->peer.id, why);
      queue(ends, Ended{id, channel->peer.id, Role::Send, why});
    } else {
      end_sending(id, why);
    }
  } else if (Receiving* const source = find_receiving(id)) {
    const Error why = error_of(record, source->peer);
    if (goes_on) {
      fail_calls_once_drained(source->peer.id, why);
      queue(ends, Ended{id, source->peer.id, Role::Receive, why});
    } else {
      source->ending = why; // what was sent before is still read
      activate(*source);
    }
  } else {
    let_go_memories(id);
  }
}

Result<LinkRecord> Endpoint::State::ask(std::span<const std::byte> question, std::uint32_t number,
                                        Monotonic deadline) {
  asked = number;
  link_answer.reset();
  look_at_receivers();
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

} // namespace mohhos::ipc
