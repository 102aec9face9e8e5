// A hostile peer at full speed. A process of another user has both ends of two channels that we
// receive from and send to: it rewrites every shared word, publishes records that are none, changes
// payloads after publishing them, punches holes, truncates, opens its descriptors again through
// /proc, floods, fills and blocks the bells. We go on: each receive ends in a message that lies in
// the ring, or in the channel's end and a new one.
//
//   hostile [SECONDS]     0 (ctest): about two seconds; build it with the asan preset for the long
//                         version (tools/soak does)
#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "guarded_ring.hpp"
#include "hostile.hpp"
#include "ipc/doorbell.hpp"
#include "ipc/shared_word.hpp"
#include "ipc/waiter.hpp"
#include "report.hpp"

namespace mohhos::soak {
namespace {

using namespace mohhos::ipc;
using Sent = RingSender::Outcome;
using Got = RingReceiver::Outcome;

std::uint64_t now_ns() {
  return static_cast<std::uint64_t>(Clock::now().time_since_epoch().count());
}

// --- the victim ---

struct Tally {
  std::uint64_t receives = 0; // messages and verdicts
  std::uint64_t messages = 0;
  std::uint64_t sends = 0;
  std::uint64_t breaches = 0;
  std::uint64_t sleeps = 0;
  std::uint64_t rings = 0;
  std::uint64_t outside = 0;
  Stalls stalls;
  std::uint64_t checksum = 0;
  std::vector<std::uint32_t> neighbour_ns;
};

// Receives on one channel of the attacker's, sends on the other, and has a neighbour in between
// that nobody disturbs.
class Victim {
public:
  Victim(const ChannelMemory& in, const ChannelMemory& out)
      : in_ends_(must(make_receiver_end(in))), out_ends_(must(make_sender_end(out))),
        in_memory_(in_ends_.data.get(), in_ends_.control.get(), kCapacity, Role::Receive),
        out_memory_(out_ends_.data.get(), out_ends_.control.get(), kCapacity, Role::Send),
        in_(in_memory_.receiver()), out_(out_memory_.sender()), neighbour_(kCapacity),
        neighbour_in_(neighbour_.receiver()), neighbour_out_(neighbour_.sender()),
        no_link_(must(make_doorbell())), waiter_(must(Waiter::open(no_link_.get()))),
        copy_(2 * kCapacity) {
    if (!waiter_.add_bell(in_ends_.data_bell.get(), WakeKind::Data, 1) ||
        !waiter_.add_bell(out_ends_.space_bell.get(), WakeKind::Space, 2))
      std::abort();
  }

  void run(Tally& tally, std::uint64_t nanoseconds) {
    const std::uint64_t end = now_ns() + nanoseconds;
    for (std::uint64_t round = 0;; ++round) {
      const std::uint64_t began = now_ns();
      if (began >= end) return;
      watch_.begin();
      // A neighbour's message waits behind one fair share of the attacker's.
      (void)send_to(neighbour_out_, 48);
      bool empty = false;
      for (int i = 0; i < 16 && !empty; ++i) empty = !receive(tally);
      View view;
      if (neighbour_in_.next(view) == Got::Message) neighbour_in_.release(view);
      if (!empty) note(tally.neighbour_ns, now_ns() - began); // behind a whole share
      send(tally);
      (void)watch_.end(tally.stalls);
      if (empty && round % 64 == 0) sleep(tally);
    }
  }

private:
  static void note(std::vector<std::uint32_t>& times, std::uint64_t ns) {
    if (times.size() < std::size_t{1} << 22)
      times.push_back(static_cast<std::uint32_t>(std::min<std::uint64_t>(ns, UINT32_MAX)));
  }

  static Sent send_to(RingSender& ring, std::uint32_t size) {
    std::span<std::byte> space;
    const Sent outcome =
        ring.loan(size, {}, space, size % 2 != 0 ? Spacing::Close : Spacing::Apart);
    if (outcome != Sent::Ok) return outcome;
    std::memset(space.data(), 7, space.size());
    ring.commit();
    return outcome;
  }

  bool receive(Tally& tally) {
    View view;
    const Got outcome = in_.next(view);
    if (outcome == Got::Empty) {
      if (in_.must_wake(true)) ring_doorbell(in_ends_.space_bell.get());
      return false;
    }
    ++tally.receives;
    if (outcome == Got::Broken) {
      ++tally.breaches;
      // As on a new channel: our own word is ours again.
      store_relaxed(&in_memory_.control()->tail, 0);
      in_ = in_memory_.receiver();
      return true;
    }
    ++tally.messages;
    if (in_memory_.holds(view.payload) && view.payload.size() <= copy_.size()) {
      std::memcpy(copy_.data(), view.payload.data(), view.payload.size());
      tally.checksum += static_cast<std::uint64_t>(copy_[view.payload.size() / 2]);
    } else {
      ++tally.outside;
    }
    in_.release(view);
    if (in_.must_wake(false)) ring_doorbell(in_ends_.space_bell.get());
    return true;
  }

  void send(Tally& tally) {
    const Sent outcome = send_to(out_, static_cast<std::uint32_t>(tally.sends % 900));
    if (outcome == Sent::Broken) {
      ++tally.breaches;
      out_ = out_memory_.sender();
    }
    if (outcome != Sent::Ok) return;
    ++tally.sends;
    if (out_.must_wake()) {
      ring_doorbell(out_ends_.data_bell.get());
      ++tally.rings;
    }
  }

  void sleep(Tally& tally) {
    in_.arm();
    store_load_fence();
    if (!in_.ready()) (void)waiter_.wait(Clock::now() + std::chrono::milliseconds(1));
    in_.disarm();
    ++tally.sleeps;
  }

  ChannelEnd in_ends_;
  ChannelEnd out_ends_;
  GuardedRing in_memory_;
  GuardedRing out_memory_;
  RingReceiver in_;
  RingSender out_;
  GuardedRing neighbour_;
  RingReceiver neighbour_in_;
  RingSender neighbour_out_;
  sys::Fd no_link_;
  Waiter waiter_;
  std::vector<std::byte> copy_;
  StallWatch watch_;
};

// A ring by itself: rewritten, broken and reused at once.
void soak_ring(double seconds, Report& report) {
  const ChannelMemory in = must(make_channel_memory(kCapacity));
  const ChannelMemory out = must(make_channel_memory(kCapacity));
  HostilePeer peer(in, out);
  const Scoreboard* const board = &peer.board();
  pin(0);
  auto victim = std::make_unique<Victim>(in, out);
  const double each = seconds * 1e9;
  Tally calm;
  victim->run(calm, static_cast<std::uint64_t>(std::min(each * 0.25, 5e9)));
  peer.begin();
  Tally tally;
  victim->run(tally, static_cast<std::uint64_t>(each * 0.75));

  if (!peer.end()) report.note("the attacker died before its time");

  report.zero("payloads outside the ring", tally.outside, tally.receives, "receives");
  report.zero("truncations that worked", board->truncated, board->truncations, "truncations");
  report.zero("descriptors opened again for writing", board->reopened, board->reopenings,
              "openings through /proc");
  const auto count = [](std::uint64_t value) { return static_cast<double>(value); };
  report.figure("receives", count(tally.receives), "");
  report.figure("… of which messages", count(tally.messages), "");
  report.figure("sends", count(tally.sends), "");
  report.figure("channels ended by a breach", count(tally.breaches), "");
  report.figure("words rewritten by the attacker", count(board->words), "");
  report.figure("holes punched", count(board->holes), "");
  report.figure("rings of bells by the attacker", count(board->rings), "");
  report.figure("bells filled, with O_NONBLOCK cleared", count(board->fills), "");
  report.figure("rings of such bells by the victim", count(tally.rings), "");
  report.figure("sleeps of the victim", count(tally.sleeps), "");
  report_stalls(report, "ring: one round", calm.stalls, tally.stalls);
  report.figure("a neighbour's p99 beside a busy honest peer", percentile(calm.neighbour_ns, 0.99),
                "ns");
  report.figure("a neighbour's p99 under attack", percentile(tally.neighbour_ns, 0.99), "ns");
}

} // namespace
} // namespace mohhos::soak

int main(int argc, char** argv) {
  using namespace mohhos::soak;
  const double seconds = std::max(seconds_argument(argc, argv, 0), 4.0);
  Report report("hostile");
  soak_ring(seconds / 2, report);
  soak_endpoint(seconds / 2, report);
  return report.finish();
}
