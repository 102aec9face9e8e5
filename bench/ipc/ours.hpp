// The one place where the comparison knows our classes: a ring by itself (RingSender, RingReceiver
// in their channels) and the Endpoint that plugins and applications talk through.
#pragma once

#include <array>
#include <bit>
#include <chrono>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include <fcntl.h>

#include "contestant.hpp"
#include "ipc/channel.hpp"
#include "ipc/endpoint.hpp"
#include "ipc/gather.hpp"
#include "ipc/layout.hpp"
#include "ipc/link_codec.hpp"
#include "ipc/shared_word.hpp"
#include "ipc/waiter.hpp"
#include "payload.hpp"
#include "ring_support.hpp"
#include "sys/socket.hpp"

namespace mohhos::bench {

// Room for a few messages of this size.
[[nodiscard]] inline std::uint64_t ring_for(std::size_t size, std::uint64_t messages = 4) {
  return std::max<std::uint64_t>(ipc::kDefaultRing, std::bit_ceil(size * messages));
}

// As the broker does.
[[nodiscard]] inline std::uint64_t lap_of(std::uint64_t ring_bytes) {
  return ring_bytes == ipc::kDefaultRing ? ipc::kShortLap : 0;
}

// --- the ring by itself ---

// What a receiver does at an empty ring.
enum class Wait : std::uint8_t { Spin, SpinAWhile, Sleep };
// How long SpinAWhile does, before it sleeps.
inline constexpr std::chrono::microseconds kSpinsAWhile{50};
// Single: each message published and the receiver looked at. Batch: in a flow, all but the last say
// that more follows at once.
// Unlooked: the receiver is never looked at, so that the difference to Single is what a look costs.
enum class Publish : std::uint8_t { Single, Batch, Unlooked };

// Both directions: memories before the fork, ends after it.
class RingPair {
public:
  explicit RingPair(std::uint64_t ring_bytes) : ring_bytes_(ring_bytes) {
    for (ipc::ChannelMemory& memory : memories_) {
      auto made = ipc::make_channel_memory(ring_bytes, lap_of(ring_bytes));
      require(made.has_value(), "make_channel_memory");
      memory = *std::move(made);
    }
  }
  // All pages now: what the first use of each costs is not a message's price.
  void allocate() {
    for (const ipc::ChannelMemory& memory : memories_)
      require(::posix_fallocate(memory.data.get(), 0,
                                static_cast<off_t>(ipc::kHeaderPage + ring_bytes_)) == 0,
              "posix_fallocate");
  }
  void open(Side side) {
    auto sender_end = ipc::make_sender_end(memories_[index(side)]);
    auto receiver_end = ipc::make_receiver_end(memories_[index(other(side))]);
    require(sender_end && receiver_end, "the ends of a channel");
    auto sender = ipc::SendingChannel::attach(*std::move(sender_end), ring_bytes_, 1);
    auto receiver = ipc::ReceivingChannel::attach(*std::move(receiver_end), ring_bytes_);
    require(sender && receiver, "attaching a channel");
    sender_.emplace(*std::move(sender));
    receiver_.emplace(*std::move(receiver));
    auto waiter = ipc::Waiter::open(memories_[index(side)].space_bell.get());
    require(waiter && waiter->add_bell(receiver_->data_bell(), ipc::WakeKind::Data, 1), "epoll");
    waiter_.emplace(*std::move(waiter));
  }

  [[nodiscard]] std::byte* loan(std::uint32_t size) {
    std::span<std::byte> space;
    const auto spacing = sent_at_ == looks_ ? ipc::Spacing::Close : ipc::Spacing::Apart;
    sent_at_ = looks_;
    while (sender_->ring().loan(size, {}, space, spacing) != ipc::RingSender::Outcome::Ok)
      ipc::spin_pause();
    return space.data();
  }
  void commit(bool more = false) { sender_->commit(more); }
  void commit_unlooked() { sender_->ring().commit(); }

  template <Wait How>
  [[nodiscard]] ipc::View next() {
    ++looks_;
    ipc::View view;
    if (receiver_->next(view) != ipc::RingReceiver::Outcome::Message) wait_for<How>(view);
    ++received_;
    return view;
  }
  void release(const ipc::View& view) { receiver_->release(view); }

private:
  template <Wait How>
  [[gnu::noinline]] void wait_for(ipc::View& view) {
    sender_->wake(); // owed before anybody waits
    Monotonic begin{};
    // (Fewer are no flow that it would nap for, and the clock is dear.)
    if (How != Wait::Sleep || received_ >= kLeastNapped)
      let_gather<How>(begin = std::chrono::steady_clock::now());
    received_ = 0;
    for (std::uint32_t looks = 1;; ++looks) {
      if (receiver_->next(view) == ipc::RingReceiver::Outcome::Message) return;
      const bool sleeps =
          How == Wait::Sleep || (How == Wait::SpinAWhile && looks % kLooks == 0 &&
                                 std::chrono::steady_clock::now() - begin > kSpinsAWhile);
      sleeps ? sleep() : ipc::spin_pause();
    }
  }
  // As an Endpoint does.
  template <Wait How>
  void let_gather(Monotonic now) {
    const std::uint64_t released = receiver_->ring().released_bytes();
    ipc::Burst burst{.messages = std::exchange(received_, 0)};
    burst.add_ring(released - std::exchange(gathered_to_, released), ring_bytes_);
    constexpr bool kNaps = How == Wait::Sleep;
    const auto pause = gather_.pause(burst, kNaps ? ipc::kNaps : ipc::kLooksAway, now);
    if (pause.count() == 0) return;
    if constexpr (kNaps)
      (void)waiter_->nap(pause);
    else
      while (std::chrono::steady_clock::now() < now + pause) ipc::spin_pause();
    gather_.ended(std::chrono::steady_clock::now());
  }
  void sleep() {
    ipc::RingReceiver& ring = receiver_->ring();
    ring.arm();
    ipc::store_load_fence();
    if (!ring.ready()) (void)waiter_->wait(ipc::kForever);
    ring.disarm();
  }

  static constexpr std::uint64_t kLeastNapped = ipc::kNaps.first / ipc::kNaps.each;
  static constexpr std::uint32_t kLooks = 64; // at the ring, for each at the clock
  std::uint64_t ring_bytes_;
  std::array<ipc::ChannelMemory, 2> memories_;
  std::optional<ipc::SendingChannel> sender_;
  std::optional<ipc::ReceivingChannel> receiver_;
  std::optional<ipc::Waiter> waiter_;
  ipc::Gather gather_;
  std::uint64_t looks_ = 1; // for messages, as an Endpoint counts them
  std::uint64_t sent_at_ = 0;
  std::uint64_t received_ = 0; // since the ring was last found empty
  std::uint64_t gathered_to_ = 0;
};

template <std::size_t Size, Wait How = Wait::Spin, Publish Commit = Publish::Single>
class OurRing {
public:
  explicit OurRing(std::uint64_t ring_bytes = ipc::kDefaultRing) : ring_(ring_bytes) {}
  std::optional<std::string> open(Side side) {
    ring_.open(side);
    return {};
  }
  // Flattened: that the usual way is inlined is the ring's design, and not to depend on what else
  // is in this file.
  [[gnu::flatten]] void send() {
    fill<Size>(ring_.loan(Size));
    if constexpr (Commit == Publish::Unlooked)
      ring_.commit_unlooked();
    else
      ring_.commit();
  }
  [[gnu::flatten]] void send_more()
    requires(Commit == Publish::Batch)
  {
    fill<Size>(ring_.loan(Size));
    ring_.commit(true);
  }
  [[gnu::flatten]] void receive() {
    const ipc::View view = ring_.next<How>();
    sum_ += look<Size>(view.payload.data());
    ring_.release(view);
  }

private:
  RingPair ring_;
  unsigned sum_ = 0;
};

// A loan that is sent and a view that is released, nothing read or written between: what handing
// over costs when the payload is already where it should be. With room for sixteen, so that the
// sender looks for space once in so many.
class OurUntouched {
public:
  explicit OurUntouched(std::uint32_t size) : ring_(ring_for(size, 16)), size_(size) {
    ring_.allocate();
  }
  std::optional<std::string> open(Side side) {
    ring_.open(side);
    return {};
  }
  void send() {
    (void)ring_.loan(size_);
    ring_.commit();
  }
  void receive() {
    const ipc::View view = ring_.next<Wait::Spin>();
    require(view.payload.size() == size_, "a message of another size");
    ring_.release(view);
  }

private:
  RingPair ring_;
  std::uint32_t size_;
};

// --- endpoints ---

// A manager that only opens channels: the records that the real one would send lie in the links
// before the endpoints look.
class Exchange {
public:
  // A link for this party, whose other end stays here.
  [[nodiscard]] sys::Fd connect(PluginId party) {
    auto pair = sys::make_seqpacket_pair();
    require(pair.has_value(), "socketpair");
    links_[party] = std::move(pair->first);
    return std::move(pair->second);
  }
  // From now on `from` can send to `to`, once both have looked at their links.
  ChannelId open(PluginId from, PluginId to, std::uint64_t ring_bytes = ipc::kDefaultRing,
                 ipc::Lane lane = ipc::Lane::Normal) {
    const auto memory = ipc::make_channel_memory(ring_bytes, lap_of(ring_bytes));
    require(memory.has_value(), "make_channel_memory");
    ++channel_;
    tell(from, to, ipc::Role::Send, ring_bytes, lane, ipc::make_sender_end(*memory));
    tell(to, from, ipc::Role::Receive, ring_bytes, lane, ipc::make_receiver_end(*memory));
    return ChannelId{channel_};
  }
  // Copies of what the receiver gets on this channel go to `copies` (0: nowhere any more).
  void tap(PluginId receiver, ChannelId channel, ChannelId copies) {
    ipc::TapOpened record;
    record.channel_id = channel.value;
    record.tap_channel_id = copies.value;
    require(ipc::send_link_record(links_.at(receiver).get(), record).has_value(),
            "a record for an endpoint");
  }

private:
  void tell(PluginId party, PluginId peer, ipc::Role role, std::uint64_t ring_bytes, ipc::Lane lane,
            const Result<ipc::ChannelEnd>& end) {
    require(end.has_value(), "the ends of a channel");
    ipc::ChannelOpened opened;
    opened.channel_id = channel_;
    opened.peer_id = peer.value;
    opened.ring_bytes = ring_bytes;
    opened.role = role;
    opened.lane = lane;
    opened.peer_generation = 1;
    opened.ring_generation = 1;
    put_text(opened.peer_name, "peer");
    require(ipc::send_link_record(links_.at(party).get(), opened, end->in_order()).has_value(),
            "a record for an endpoint");
  }
  std::map<PluginId, sys::Fd> links_;
  std::uint64_t channel_ = 0;
};

// Spinning for so long that it never sleeps; a while, as plugins do; not at all.
inline constexpr std::chrono::microseconds kNeverSleeps{10'000'000};
inline constexpr std::chrono::microseconds kSleepsAtOnce{0};

class EndpointPair {
public:
  EndpointPair(std::chrono::microseconds spin, std::uint64_t ring_bytes) : spin_(spin) {
    for (const Side side : {Side::First, Side::Second})
      links_[index(side)] = exchange_.connect(party(side));
    there_ = exchange_.open(party(Side::First), party(Side::Second), ring_bytes);
    exchange_.open(party(Side::Second), party(Side::First), ring_bytes);
  }
  void open(Side side) {
    ipc::EndpointSettings settings;
    settings.spin = spin_;
    auto endpoint = ipc::Endpoint::open(std::move(links_[index(side)]), settings);
    require(endpoint.has_value(), "Endpoint::open");
    endpoint_ = *std::move(endpoint);
    (void)endpoint_->rest(ipc::kNoWait); // the link; a message of the other side may be there, too
    const auto channel = endpoint_->open_channel(party(other(side)), ipc::kNoWait);
    require(channel.has_value(), "the channel to the other side");
    channel_ = *channel;
  }
  [[nodiscard]] std::byte* loan(std::uint32_t size, bool more) {
    const auto space = endpoint_->loan(channel_, size, outgoing(more), ipc::kForever);
    require(space.has_value(), "loan");
    return space->data();
  }
  void commit() { endpoint_->commit(channel_); }
  void send(std::span<const std::byte> bytes) {
    require(endpoint_->send(channel_, {}, bytes, ipc::kForever).has_value(), "send");
  }
  // In place: a copy of what has just been written costs as much as a third of a receive().
  template <class Use>
  void take(Use use) {
    const auto message = endpoint_->receive(ipc::kForever);
    require(message && *message, "receive");
    use(**message);
    endpoint_->release(**message);
  }

  [[nodiscard]] static PluginId party(Side side) { return PluginId{index(side) + 1}; }
  [[nodiscard]] ipc::Endpoint& endpoint() { return *endpoint_; }
  [[nodiscard]] Exchange& exchange() { return exchange_; }
  // From the first to the second.
  [[nodiscard]] ChannelId there() const { return there_; }

private:
  static ipc::Outgoing outgoing(bool more) {
    ipc::Outgoing about;
    about.more = more;
    return about;
  }
  std::chrono::microseconds spin_;
  Exchange exchange_;
  std::array<sys::Fd, 2> links_;
  std::unique_ptr<ipc::Endpoint> endpoint_;
  ChannelId channel_;
  ChannelId there_;
};

template <std::size_t Size, Publish Commit = Publish::Single>
class OurEndpoint {
public:
  explicit OurEndpoint(std::chrono::microseconds spin, std::uint64_t ring_bytes = ipc::kDefaultRing)
      : pair_(spin, ring_bytes) {}
  std::optional<std::string> open(Side side) {
    pair_.open(side);
    return {};
  }
  void send() {
    fill<Size>(pair_.loan(Size, false));
    pair_.commit();
  }
  void send_more()
    requires(Commit == Publish::Batch)
  {
    fill<Size>(pair_.loan(Size, true));
    pair_.commit();
  }
  void receive() {
    pair_.take([this](const ipc::Message& message) { sum_ += look<Size>(message.payload.data()); });
  }

private:
  EndpointPair pair_;
  unsigned sum_ = 0;
};

// Any size, through endpoints: copied in by the sender, read in place by the receiver.
class OurSized {
public:
  OurSized(std::size_t size, std::chrono::microseconds spin)
      : pair_(spin, ring_for(size)), source_(size) {}
  std::optional<std::string> open(Side side) {
    pair_.open(side);
    return {};
  }
  void send() { pair_.send(source_.bytes()); }
  void receive() {
    pair_.take([this](const ipc::Message& message) { sum_ += look_at_all(message.payload); });
  }

private:
  EndpointPair pair_;
  Source source_;
  std::uint64_t sum_ = 0;
};

} // namespace mohhos::bench
