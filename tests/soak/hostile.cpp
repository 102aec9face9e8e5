// A hostile peer at full speed. A process of another user has both ends of two channels that we
// receive from and send to: it rewrites every shared word, publishes records that are none, changes
// payloads after publishing them, punches holes, truncates, opens its descriptors again through
// /proc, floods, fills and blocks the bells. We go on: each receive ends in a message that lies in
// the ring, or in the channel's end and a new one.
//
//   hostile [SECONDS]     0 (ctest): about two seconds; build it with the asan preset for the long
//                         version (tools/soak does)
#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <memory>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "guarded_ring.hpp"
#include "ipc/channel.hpp"
#include "ipc/doorbell.hpp"
#include "ipc/shared_word.hpp"
#include "ipc/waiter.hpp"
#include "report.hpp"

namespace mohhos::soak {
namespace {

using namespace mohhos::ipc;
using Sent = RingSender::Outcome;
using Got = RingReceiver::Outcome;

constexpr std::uint64_t kCapacity = 4096;
constexpr uid_t kNobody = 65534;

template <class T>
T must(Result<T> result) {
  if (!result) {
    fmt::print(stderr, "hostile: {}\n", result.error().text);
    std::abort();
  }
  return *std::move(result);
}

std::uint64_t now_ns() {
  return static_cast<std::uint64_t>(Clock::now().time_since_epoch().count());
}

void pin(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  ::sched_setaffinity(0, sizeof set, &set); // a wish: the figures are steadier
}

struct Random {
  std::uint64_t x = 88172645463325252ULL;
  std::uint64_t operator()() {
    x ^= x << 13;
    x ^= x >> 7;
    return x ^= x << 17;
  }
};

// What the two processes say to each other, beside the channels.
struct Scoreboard {
  std::atomic<bool> attack;
  std::atomic<std::uint64_t> words; // rewritten
  std::atomic<std::uint64_t> rings; // of bells
  std::atomic<std::uint64_t> fills; // of bells, with O_NONBLOCK cleared
  std::atomic<std::uint64_t> holes;
  std::atomic<std::uint64_t> truncations;
  std::atomic<std::uint64_t> truncated; // must be 0
  std::atomic<std::uint64_t> reopenings;
  std::atomic<std::uint64_t> reopened; // must be 0
};

// --- the attacker ---

// Both memories of a channel, all of it writable: more than any peer has.
struct Writable {
  explicit Writable(const ChannelMemory& memory)
      : data(must(sys::map_shared(memory.data.get(), 0, kHeaderPage + kCapacity,
                                  sys::Access::ReadWrite))),
        control(
            must(sys::map_shared(memory.control.get(), 0, kHeaderPage, sys::Access::ReadWrite))) {}
  sys::Mapping data;
  sys::Mapping control;
  [[nodiscard]] volatile std::uint64_t* data_words() const {
    return reinterpret_cast<volatile std::uint64_t*>(data.data());
  }
  [[nodiscard]] volatile std::uint64_t* control_words() const {
    return reinterpret_cast<volatile std::uint64_t*>(control.data());
  }
};

void scribble(const Writable& memory, Random& random) {
  constexpr std::size_t kTail = offsetof(Control, tail) / 8;
  const std::uint64_t x = random();
  volatile std::uint64_t* const control = memory.control_words();
  volatile std::uint64_t* const data = memory.data_words();
  const std::uint64_t tail = control[kTail] & ~std::uint64_t{kLine - 1};
  switch (x & 15) {
  case 0: control[kTail] = x & ~std::uint64_t{63}; break; // jump
  case 1: control[kTail] = tail - kLine; break;           // rewind
  case 2: control[kTail] = x; break;
  case 3: control[kTail + 1 + (x >> 8) % 16] = x; break; // begun, armed, counters
  case 4: data[8 + (x >> 8) % 24] = x; break;            // waiting, oldest, counters
  case 5: data[(x >> 8) % 512] = x; break;               // anything in the header
  case 6:
  case 7: data[kHeaderPage / 8 + (x >> 8) % (kCapacity / 8)] = x; break; // payload
  default: {
    // A record where the receiver will look next, and of any size.
    const std::uint64_t position = tail + (x >> 8 & 7) * kLine;
    const PublishWord word{
        .size = static_cast<std::uint32_t>(x >> 40 & ((x & 32) != 0 ? 0xFF : 0x1FFF)),
        .tag = tag_of(position),
        .type = static_cast<std::uint8_t>(x >> 20 & 7),
        .flags = static_cast<std::uint8_t>(x >> 24 & 0x1F)};
    data[(kHeaderPage + (position & (kCapacity - 1))) / 8] = word.pack();
  }
  }
}

// A peer as it should be, but for what it does with payloads that it has published.
void behave(const Writable& in, const Writable& out, const std::atomic<bool>& attack) {
  // Its mapping is not doubled: its messages are one line each.
  Random random;
  const auto sender = [&] {
    return RingSender({.header = reinterpret_cast<DataHeader*>(in.data.data()),
                       .data = in.data.data() + kHeaderPage,
                       .control = reinterpret_cast<const Control*>(in.control.data()),
                       .capacity = kCapacity},
                      1);
  };
  const auto receiver = [&] {
    return RingReceiver({.header = reinterpret_cast<const DataHeader*>(out.data.data()),
                         .data = out.data.data() + kHeaderPage,
                         .control = reinterpret_cast<Control*>(out.control.data()),
                         .capacity = kCapacity});
  };
  RingSender sending = sender();
  RingReceiver receiving = receiver();
  for (;;) {
    if (sending.breach() != Breach::None) sending = sender();
    if (receiving.breach() != Breach::None) {
      store_relaxed(&reinterpret_cast<Control*>(out.control.data())->tail, 0);
      receiving = receiver();
    }
    std::span<std::byte> space;
    bool moved = false;
    if (sending.loan(16, {}, space) == Sent::Ok) {
      std::memset(space.data(), static_cast<int>(random()), space.size());
      sending.commit();
      if (attack) std::memset(space.data(), static_cast<int>(random()), space.size());
      moved = true;
    }
    View view;
    if (receiving.next(view) == Got::Message) {
      receiving.release(view);
      moved = true;
    }
    if (!moved) std::this_thread::yield();
  }
}

void spoil_bell(int bell, Scoreboard& board) {
  const std::uint64_t once = 1;
  const std::uint64_t most = UINT64_MAX - 1;
  ::fcntl(bell, F_SETFL, O_NONBLOCK);
  std::uint64_t count = 0;
  (void)!::read(bell, &count, sizeof count);
  for (int i = 0; i < 100; ++i) board.rings += ::write(bell, &once, sizeof once) > 0 ? 1U : 0U;
  (void)!::read(bell, &count, sizeof count);
  if (::write(bell, &most, sizeof most) < 0) return; // an ear
  ::fcntl(bell, F_SETFL, 0);                         // the next write to it blocks
  ++board.fills;
}

void spoil_memory(int fd, Random& random, Scoreboard& board) {
  const auto page = static_cast<off_t>(random() % 2 * 4096);
  if (::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, page, 4096) == 0) ++board.holes;
  for (const off_t size : {0, 2048, 1 << 20}) {
    ++board.truncations;
    if (::ftruncate(fd, size) == 0) ++board.truncated;
  }
}

void reopen(int fd, Scoreboard& board) {
  ++board.reopenings;
  const std::string path = fmt::format("/proc/self/fd/{}", fd);
  const sys::Fd again(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (again) ++board.reopened;
}

// `sends`: the end that sends to the victim; `receives`: the other channel's.
[[noreturn]] void be_hostile(const ChannelMemory& in, const ChannelMemory& out, ChannelEnd sends,
                             ChannelEnd receives, Scoreboard& board) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::geteuid() == 0 && ::setresuid(kNobody, kNobody, kNobody) != 0) std::abort();
  ::prctl(PR_SET_DUMPABLE, 1); // it may look into its own /proc/self/fd
  const Writable in_memory(in);
  const Writable out_memory(out);
  std::vector<std::jthread> threads;
  threads.emplace_back([&] {
    pin(1);
    behave(in_memory, out_memory, board.attack);
  });
  threads.emplace_back([&] {
    pin(1);
    for (Random random;;) {
      if (!board.attack) {
        std::this_thread::yield();
        continue;
      }
      for (int i = 0; i < 1000; ++i) scribble(i % 4 == 0 ? out_memory : in_memory, random);
      board.words += 1000;
    }
  });
  pin(1);
  for (Random random;;) {
    if (!board.attack) {
      ::usleep(1000);
      continue;
    }
    // A storm first; then they stay full and blocking.
    for (const ChannelEnd* end : {&sends, &receives}) {
      if (board.fills > 2000) break;
      spoil_bell(end->data_bell.get(), board);
      spoil_bell(end->space_bell.get(), board);
    }
    spoil_memory(sends.data.get(), random, board);
    spoil_memory(receives.control.get(), random, board);
    reopen(sends.control.get(), board);
    reopen(receives.data.get(), board);
  }
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
  std::uint64_t stalls = 0; // longer than 10 ms
  std::uint64_t longest_ns = 0;
  std::uint64_t longest_cpu_us = 0;
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
      // A neighbour's message waits behind one fair share of the attacker's.
      (void)send_to(neighbour_out_, 48);
      bool empty = false;
      for (int i = 0; i < 16 && !empty; ++i) empty = !receive(tally);
      View view;
      if (neighbour_in_.next(view) == Got::Message) neighbour_in_.release(view);
      if (!empty) note(tally.neighbour_ns, now_ns() - began); // behind a whole share
      send(tally);
      const std::uint64_t took = now_ns() - began;
      tally.longest_ns = std::max(tally.longest_ns, took);
      if (took > 10'000'000) ++tally.stalls;
      note_cpu(tally);
      if (empty && round % 64 == 0) sleep(tally);
    }
  }

private:
  static void note(std::vector<std::uint32_t>& times, std::uint64_t ns) {
    if (times.size() < std::size_t{1} << 22)
      times.push_back(static_cast<std::uint32_t>(std::min<std::uint64_t>(ns, UINT32_MAX)));
  }

  // What of a stall was ours, and not another process's turn on this processor.
  void note_cpu(Tally& tally) {
    timespec used{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    const std::uint64_t all = static_cast<std::uint64_t>(used.tv_sec) * 1'000'000U +
                              static_cast<std::uint64_t>(used.tv_nsec) / 1000U;
    if (cpu_us_ != 0) tally.longest_cpu_us = std::max(tally.longest_cpu_us, all - cpu_us_);
    cpu_us_ = all;
  }

  static Sent send_to(RingSender& ring, std::uint32_t size) {
    std::span<std::byte> space;
    const Sent outcome = ring.loan(size, {}, space);
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
    cpu_us_ = 0;
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
  std::uint64_t cpu_us_ = 0;
};

double percentile(std::vector<std::uint32_t>& times, double share) {
  if (times.empty()) return 0;
  const auto at =
      times.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(times.size() - 1));
  std::nth_element(times.begin(), at, times.end());
  return *at;
}

int soak(double seconds) {
  Report report("hostile");
  auto* const board = static_cast<Scoreboard*>(::mmap(
      nullptr, sizeof(Scoreboard), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  if (board == MAP_FAILED) std::abort();
  new (board) Scoreboard{};
  const ChannelMemory in = must(make_channel_memory(kCapacity));
  const ChannelMemory out = must(make_channel_memory(kCapacity));

  const pid_t attacker = ::fork();
  if (attacker == 0)
    be_hostile(in, out, must(make_sender_end(in, Holder::Stranger)),
               must(make_receiver_end(out, Holder::Stranger)), *board);
  pin(0);
  auto victim = std::make_unique<Victim>(in, out);
  const double each = std::max(seconds, 2.0) * 1e9;
  Tally calm;
  victim->run(calm, static_cast<std::uint64_t>(std::min(each * 0.25, 5e9)));
  board->attack = true;
  Tally tally;
  victim->run(tally, static_cast<std::uint64_t>(each * 0.75));

  ::kill(attacker, SIGKILL);
  int status = 0;
  ::waitpid(attacker, &status, 0);
  if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
    report.note("the attacker died before its time");

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
  report.figure("longest stall undisturbed", count(calm.longest_ns) / 1e6, "ms");
  report.figure("longest stall under attack", count(tally.longest_ns) / 1e6, "ms");
  report.figure("… of processor time of our own", count(tally.longest_cpu_us) / 1e3, "ms");
  report.figure("stalls above 10 ms under attack", count(tally.stalls), "");
  report.figure("a neighbour's p99 beside a busy honest peer", percentile(calm.neighbour_ns, 0.99),
                "ns");
  report.figure("a neighbour's p99 under attack", percentile(tally.neighbour_ns, 0.99), "ns");
  return report.finish();
}

} // namespace
} // namespace mohhos::soak

int main(int argc, char** argv) {
  return mohhos::soak::soak(mohhos::soak::seconds_argument(argc, argv, 0));
}
