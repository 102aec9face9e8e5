// A hostile endpoint beside an honest pair: all three have links to the same broker, the hostile
// one and the honest one send to the same victim. What the honest one's calls take beside it is
// held against what they take undisturbed, in turns, so that what else the machine does falls on
// both.
//
//   neighbours [SECONDS]     0 (ctest): about two seconds
#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstring>
#include <map>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "ipc/shared_word.hpp"
#include "report.hpp"
#include "unit/ipc/switchboard.hpp"

namespace mohhos::soak {
namespace {

using namespace mohhos::ipc;
using namespace std::chrono_literals;

constexpr PluginId kVictim{1};
constexpr PluginId kHonest{2};
constexpr PluginId kOutlaw{3};

Party party(PluginId id, std::string name) {
  Party party{.id = id,
              .name = std::move(name),
              .type = model::PluginType::Custom,
              .generation = {1},
              .capabilities = {},
              .acl = {}};
  party.acl.send_to = party.acl.receive_from = {"*"};
  return party;
}

enum class Attack : int { None, Compute, Flood, Break, Bells, OpenAndClose, Waiting, Over };
constexpr std::array kAttacks = {Attack::Compute, Attack::Flood,        Attack::Break,
                                 Attack::Bells,   Attack::OpenAndClose, Attack::Waiting};
constexpr std::array kNames = {"nothing",
                               "a thread that only computes",
                               "a flood of messages",
                               "rings broken again and again",
                               "a bell storm",
                               "opening and closing",
                               "lies about waiting"};

// --- the attacker: a link and whatever ring it gets ---

class Outlaw {
public:
  explicit Outlaw(sys::Fd link) : link_(std::move(link)) {}

  void run(const std::atomic<Attack>& attack) {
    for (Attack now = attack; now != Attack::Over; now = attack) {
      if (now == Attack::None) {
        attack.wait(now);
        continue;
      }
      step(now);
      ++steps[static_cast<std::size_t>(now)];
    }
  }

  std::array<std::uint64_t, kNames.size()> steps{};
  std::uint64_t refused = 0; // to open a channel

private:
  void step(Attack attack) {
    if (attack == Attack::Waiting) {
      Waiting waiting;
      waiting.peer_id = ++sequence_ % 2 == 0 ? kVictim.value : kHonest.value;
      (void)send_link_record(link_.get(), waiting);
      drain();
      return;
    }
    if (!channel_ && !open()) {
      (void)next(1); // it was told to wait, and looks again as often as the link says something
      return;
    }
    std::span<std::byte> space;
    switch (attack) {
    case Attack::Flood:
      if (channel_->ring().loan(64, {}, space) == RingSender::Outcome::Ok)
        channel_->commit();
      else if (channel_->ring().breach() != Breach::None)
        close(CloseReason::PeerGone);
      else
        std::this_thread::yield();
      return;
    case Attack::Break:
      if (channel_->ring().loan(8, {}, space) != RingSender::Outcome::Ok)
        return close(CloseReason::PeerGone);
      channel_->commit();
      std::memset(space.data() - sizeof(RecordHeader), 0xFF, 8); // the publish word
      ring_doorbell();
      wait_for_end();
      return;
    case Attack::Bells: ring_doorbell(); return;
    case Attack::OpenAndClose: return close(CloseReason::PeerGone);
    case Attack::Compute: return; // what the processor alone does to the others
    case Attack::None:
    case Attack::Over:
    case Attack::Waiting: return;
    }
  }

  void ring_doorbell() const {
    const std::uint64_t once = 1;
    (void)!::write(bell_.get(), &once, sizeof once);
  }

  std::optional<LinkRecord> next(int timeout_ms) {
    pollfd wait{link_.get(), POLLIN, 0};
    if (::poll(&wait, 1, timeout_ms) <= 0) return std::nullopt;
    auto record = receive_link_record(link_.get(), LinkSide::Manager);
    if (!record || !*record) return std::nullopt;
    if ((*record)->type() == LinkType::ChannelClosed &&
        (*record)->as<ChannelClosed>().channel_id == id_)
      drop();
    return std::move(**record);
  }
  void drain() {
    while (next(0)) {
    }
  }
  void wait_for_end() {
    for (int i = 0; i < 100 && channel_; ++i) (void)next(1);
    if (channel_) close(CloseReason::PeerGone);
  }

  bool open() {
    OpenChannel question;
    question.header.sequence = ++sequence_;
    question.target_id = kVictim.value;
    if (!send_link_record(link_.get(), question)) return false;
    for (int i = 0; i < 1000; ++i) {
      auto record = next(10);
      if (!record || record->header.sequence != sequence_) continue;
      if (record->type() != LinkType::ChannelOpened) {
        ++refused;
        return false;
      }
      const auto opened = record->as<ChannelOpened>();
      auto bell = record->fds[2].duplicate();
      auto attached = SendingChannel::attach({std::move(record->fds[0]), std::move(record->fds[1]),
                                              std::move(record->fds[2]), std::move(record->fds[3])},
                                             opened.ring_bytes, 1);
      if (!bell || !attached) return false;
      id_ = opened.channel_id;
      bell_ = std::move(*bell);
      channel_.emplace(std::move(*attached));
      return true;
    }
    return false;
  }
  void drop() {
    channel_.reset();
    bell_.reset();
    id_ = 0;
  }
  void close(CloseReason reason) {
    CloseChannel record;
    record.channel_id = id_;
    record.reason = reason;
    (void)send_link_record(link_.get(), record);
    drop();
  }

  sys::Fd link_;
  sys::Fd bell_;
  std::optional<SendingChannel> channel_;
  std::uint64_t id_ = 0;
  std::uint32_t sequence_ = 0;
};

// --- the others ---

void answer_all(Endpoint& victim, const std::atomic<bool>& done) {
  while (!done) {
    auto message = victim.receive(Clock::now() + 10ms);
    if (!message) return;
    if (!*message) continue;
    const ReplyTo to = reply_to(**message);
    if (to.correlation != 0) (void)victim.respond(to, {}, Clock::now() + 1s);
    victim.release(**message);
  }
}

struct Tally {
  std::vector<std::uint32_t> ns;
  std::uint64_t failed = 0;
};

void call(Endpoint& honest, ChannelId channel, Tally& tally, Clock::time_point until) {
  while (Clock::now() < until) {
    const auto began = Clock::now();
    const auto answer =
        honest.call_and_wait(channel, {.type = MessageType::DataRequest}, {}, began + 10s);
    const auto took = std::chrono::nanoseconds(Clock::now() - began).count();
    if (!answer) ++tally.failed;
    tally.ns.push_back(static_cast<std::uint32_t>(std::min<std::int64_t>(took, UINT32_MAX)));
  }
}

// A wish: with fewer processors they share what there is, and the first row says what that costs.
void pin(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  ::sched_setaffinity(0, sizeof set, &set);
}

double percentile(std::vector<std::uint32_t> times, double share) {
  if (times.empty()) return 0;
  const auto at =
      times.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(times.size() - 1));
  std::nth_element(times.begin(), at, times.end());
  return *at;
}

using Tallies = std::array<Tally, kNames.size()>;

void tell(Report& report, const Tallies& tallies, const Outlaw& outlaw) {
  std::uint64_t calls = 0;
  std::uint64_t failed = 0;
  for (const Tally& tally : tallies) {
    calls += tally.ns.size();
    failed += tally.failed;
  }
  report.zero("calls of the honest one that failed", failed, calls, "calls");
  const double calm = percentile(tallies[0].ns, 0.99);
  const double busy = percentile(tallies[1].ns, 0.99);
  report.figure("undisturbed: p50", percentile(tallies[0].ns, 0.5), "ns");
  report.figure("undisturbed: p99", calm, "ns");
  for (const Attack one : kAttacks) {
    const auto index = static_cast<std::size_t>(one);
    const Tally& tally = tallies[index];
    const std::string name = kNames[index];
    report.figure("beside " + name + ": calls", static_cast<double>(tally.ns.size()), "");
    report.figure("… of the attacker's steps", static_cast<double>(outlaw.steps[index]), "");
    report.figure("… p50", percentile(tally.ns, 0.5), "ns");
    report.figure("… p99", percentile(tally.ns, 0.99), "ns");
    report.figure("… p99, of that undisturbed", percentile(tally.ns, 0.99) / std::max(calm, 1.0),
                  "");
    report.figure("… p99, of that beside the one that computes",
                  percentile(tally.ns, 0.99) / std::max(busy, 1.0), "");
  }
  report.figure("channels that the broker refused the attacker",
                static_cast<double>(outlaw.refused), "");
}

int soak(double seconds) {
  Report report("neighbours");
  ipc::testing::Switchboard board;
  std::atomic<bool> done = false;
  std::atomic<Attack> attack = Attack::None;
  const auto end_all = [&] {
    done = true;
    attack = Attack::Over;
    attack.notify_one();
  };
  auto victim = std::move(*Endpoint::open(board.connect(party(kVictim, "victim")), {}));
  auto honest = std::move(*Endpoint::open(board.connect(party(kHonest, "honest")), {}));
  Outlaw outlaw(board.connect(party(kOutlaw, "outlaw")));
  Tallies tallies;
  {
    pin(0);
    std::jthread answering([&] {
      pin(1);
      answer_all(*victim, done);
    });
    std::jthread attacking([&] {
      pin(2);
      outlaw.run(attack);
    });
    const auto channel = honest->open_channel("victim", Clock::now() + 10s);
    if (!channel) {
      report.note(channel.error().text);
      end_all();
      return report.finish();
    }
    const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                        std::chrono::duration<double>(std::max(seconds, 2.0)));
    constexpr auto kSlice = 50ms;
    auto forgiven = Clock::now();
    while (Clock::now() < end) {
      for (const Attack one : kAttacks) {
        attack = Attack::None;
        call(*honest, *channel, tallies[0], Clock::now() + kSlice);
        attack = one;
        attack.notify_one();
        call(*honest, *channel, tallies[static_cast<std::size_t>(one)], Clock::now() + kSlice);
        if (Clock::now() - forgiven > 1s) {
          board.forgive(); // as the manager does
          forgiven = Clock::now();
        }
      }
    }
    end_all();
  }
  tell(report, tallies, outlaw);
  return report.finish();
}

} // namespace
} // namespace mohhos::soak

int main(int argc, char** argv) {
  return mohhos::soak::soak(mohhos::soak::seconds_argument(argc, argv, 0));
}
