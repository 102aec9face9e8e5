// A hostile peer of an Endpoint that has an honest peer, too. It breaks its rings again and again,
// and gets new channels over the same memories; every message of the honest one arrives meanwhile.
#include <algorithm>
#include <cstring>
#include <vector>

#include "hostile.hpp"
#include "ipc/endpoint.hpp"
#include "ipc/link_codec.hpp"
#include "ipc/shared_word.hpp"
#include "sys/socket.hpp"

namespace mohhos::soak {
namespace {

using namespace mohhos::ipc;
using namespace std::chrono_literals;

constexpr PluginId kHostile{2};
constexpr PluginId kHonest{3};
constexpr int kAtOnce = 8;
constexpr auto kHangs = 20s; // whatever else the machine does

// What a manager does for the endpoint: opens channels, and again when they have ended.
class Exchange {
public:
  Exchange() {
    auto pair = must(sys::make_seqpacket_pair());
    ours_ = std::move(pair.first);
    link = std::move(pair.second);
  }
  ChannelId open(PluginId peer, Role role, const ChannelMemory& memory) {
    const ChannelEnd end =
        must(role == Role::Send ? make_sender_end(memory) : make_receiver_end(memory));
    ChannelOpened opened;
    opened.channel_id = ++channels_;
    opened.peer_id = peer.value;
    opened.ring_bytes = kCapacity;
    opened.role = role;
    opened.peer_generation = opened.ring_generation = 1;
    put_text(opened.peer_name, peer == kHonest ? "honest" : "hostile");
    (void)send_link_record(ours_.get(), opened, end.in_order()); // full: it is tried again
    return ChannelId{channels_};
  }
  // The memory as a new one: what the peer rewrites meanwhile is its own affair.
  ChannelId open_again(Role role, const ChannelMemory& memory) {
    DataHeader header;
    header.capacity = kCapacity;
    const Control control;
    (void)!::pwrite(memory.data.get(), &header, offsetof(DataHeader, counters), 0);
    (void)!::pwrite(memory.control.get(), &control, sizeof control, 0);
    return open(kHostile, role, memory);
  }
  // What the endpoint says; nobody is told.
  void listen() {
    for (;;) {
      const auto record = receive_link_record(ours_.get(), LinkSide::Endpoint);
      if (!record || !*record) return;
    }
  }

  sys::Fd link;

private:
  sys::Fd ours_;
  std::uint64_t channels_ = 0;
};

struct Tally {
  std::uint64_t honest = 0;
  std::uint64_t hostile = 0; // messages
  std::uint64_t wrong = 0;
  std::uint64_t hangs = 0;
  std::uint64_t sends = 0;
  std::uint64_t ended = 0; // channels of the hostile one
  std::uint64_t opened = 0;
  Stalls stalls;
  std::vector<std::uint32_t> ns;
};

class Victim {
public:
  Victim(const ChannelMemory& in, const ChannelMemory& out)
      : in_(in), out_(out), honest_memory_(must(make_channel_memory(kCapacity))),
        honest_(must(SendingChannel::attach(must(make_sender_end(honest_memory_)), kCapacity, 1))),
        copy_(2 * kCapacity) {
    exchange_.open(kHonest, Role::Receive, honest_memory_);
    endpoint_ = must(Endpoint::open(std::move(exchange_.link), {}));
    endpoint_->on_ended([this](const Ended&) { ++tally_->ended; });
  }

  void run(Tally& tally, std::chrono::duration<double> time) {
    tally_ = &tally;
    const auto end = Clock::now() + time;
    while (Clock::now() < end && tally.hangs == 0) {
      reopen(in_channel_, Role::Receive, in_);
      reopen(out_channel_, Role::Send, out_);
      send_hostile();
      receive_some();
      send_honest();
      watch_.begin();
      if (!receive_honest(Clock::now() + kHangs)) ++tally.hangs;
      note(watch_.end(tally.stalls));
    }
  }

private:
  // A channel that has ended, or that the endpoint could not use because its memory was being
  // rewritten, is offered again.
  void reopen(ChannelId& channel, Role role, const ChannelMemory& memory) {
    if (channel && endpoint_->peer(channel)) return;
    exchange_.listen();
    channel = exchange_.open_again(role, memory);
    (void)endpoint_->rest(kNoWait);
    ++tally_->opened;
  }

  void send_hostile() {
    const std::span<const std::byte> bytes(copy_.data(), tally_->sends % 900);
    // One in 64 waits for room, as long as a bell can be relied upon.
    const Monotonic until = ++tries_ % 64 == 0 ? Clock::now() + 1ms : kNoWait;
    if (endpoint_->send(out_channel_, {}, bytes, until)) ++tally_->sends;
  }

  void send_honest() {
    std::span<std::byte> space;
    if (honest_.ring().loan(sizeof next_, {}, space) != RingSender::Outcome::Ok) std::abort();
    std::memcpy(space.data(), &next_, sizeof next_);
    honest_.commit();
  }

  // Whatever of the hostile one lies there, so that it is its turn when the honest one sends.
  void receive_some() {
    for (int i = 0; i < kAtOnce; ++i) {
      const auto message = endpoint_->receive(kNoWait);
      if (!message || !*message) return;
      take(**message);
    }
  }

  // Until the honest message is there; what comes before it is taken like any message.
  bool receive_honest(Monotonic until) {
    while (Clock::now() < until) {
      const auto message = endpoint_->receive(until);
      if (!message) return false;
      if (*message && take(**message)) return true;
    }
    return false;
  }

  // Whether it is the honest one's.
  bool take(const Message& message) {
    const std::size_t size = std::min(message.payload.size(), copy_.size());
    std::memcpy(copy_.data(), message.payload.data(), size);
    const bool is_honest = message.sender == kHonest;
    std::uint64_t number = 0;
    std::memcpy(&number, copy_.data(), sizeof number);
    endpoint_->release(message);
    ++(is_honest ? tally_->honest : tally_->hostile);
    if (is_honest && number != next_++) ++tally_->wrong;
    return is_honest;
  }

  void note(std::uint64_t ns) {
    if (tally_->ns.size() < std::size_t{1} << 22)
      tally_->ns.push_back(static_cast<std::uint32_t>(std::min<std::uint64_t>(ns, UINT32_MAX)));
  }

  const ChannelMemory& in_;
  const ChannelMemory& out_;
  ChannelMemory honest_memory_;
  SendingChannel honest_;
  Exchange exchange_;
  std::unique_ptr<Endpoint> endpoint_;
  std::vector<std::byte> copy_;
  StallWatch watch_;
  Tally* tally_ = nullptr;
  ChannelId in_channel_;
  ChannelId out_channel_;
  std::uint64_t next_ = 0;
  std::uint64_t tries_ = 0;
};

} // namespace

void soak_endpoint(double seconds, Report& report) {
  const ChannelMemory in = must(make_channel_memory(kCapacity));
  const ChannelMemory out = must(make_channel_memory(kCapacity));
  HostilePeer peer(in, out);
  pin(0);
  Victim victim(in, out);
  Tally calm;
  victim.run(calm, std::chrono::duration<double>(seconds * 0.25));
  peer.begin();
  Tally tally;
  victim.run(tally, std::chrono::duration<double>(seconds * 0.75));
  if (!peer.end()) report.note("the endpoint's attacker died before its time");

  report.zero("receives of an honest channel that hung for 20 s", tally.hangs, tally.honest,
              "honest messages");
  report.zero("honest messages that were wrong", tally.wrong, tally.honest, "honest messages");
  const auto count = [](std::uint64_t value) { return static_cast<double>(value); };
  report.figure("endpoint: messages of the hostile peer", count(tally.hostile), "");
  report.figure("endpoint: sends to it", count(tally.sends), "");
  report.figure("endpoint: its channels that ended", count(tally.ended), "");
  report.figure("endpoint: channels offered to it again", count(tally.opened), "");
  report.figure("endpoint: words rewritten", count(peer.board().words), "");
  report_stalls(report, "endpoint: an honest message", calm.stalls, tally.stalls);
  report.figure("endpoint: an honest message's p99 undisturbed", percentile(calm.ns, 0.99), "ns");
  report.figure("endpoint: an honest message's p99 under attack", percentile(tally.ns, 0.99), "ns");
}

} // namespace mohhos::soak
