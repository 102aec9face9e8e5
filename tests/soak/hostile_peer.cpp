#include "hostile_peer.hpp"

#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <new>
#include <sched.h>
#include <string>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "ipc/doorbell.hpp"
#include "ipc/shared_word.hpp"

namespace mohhos::soak {
namespace {

using namespace mohhos::ipc;
using Sent = RingSender::Outcome;
using Got = RingReceiver::Outcome;

constexpr uid_t kNobody = 65534;

struct Random {
  std::uint64_t x = 88172645463325252ULL;
  std::uint64_t operator()() {
    x ^= x << 13;
    x ^= x >> 7;
    return x ^= x << 17;
  }
};

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

// What the other thread of this process is just using, too, which is what an attacker does: not for
// ThreadSanitizer, or it would end him.
[[gnu::no_sanitize("thread")]] void scribble(const Writable& memory, Random& random) {
  constexpr std::size_t kTail = offsetof(Control, tail) / 8;
  const std::uint64_t x = random();
  volatile std::uint64_t* const control = memory.control_words();
  volatile std::uint64_t* const data = memory.data_words();
  const std::uint64_t tail = control[kTail] & ~std::uint64_t{kGrain - 1};
  switch (x & 15) {
  case 0: control[kTail] = x & ~std::uint64_t{15}; break; // jump
  case 1: control[kTail] = tail - kGrain; break;          // rewind
  case 2: control[kTail] = x; break;
  case 3: control[kTail + 1 + (x >> 8) % 16] = x; break; // begun, armed, counters
  case 4: data[8 + (x >> 8) % 24] = x; break;            // waiting, oldest, counters
  case 5: data[(x >> 8) % 512] = x; break;               // anything in the header
  case 6:
  case 7: data[kHeaderPage / 8 + (x >> 8) % (kCapacity / 8)] = x; break; // payload
  default: {
    // A record where the receiver will look next, and of any size.
    const std::uint64_t position = tail + (x >> 8 & 7) * kGrain;
    const PublishWord word{
        .size = static_cast<std::uint32_t>(x >> 40 & ((x & 32) != 0 ? 0xFF : 0x1FFF)),
        .tag = tag_of(position),
        .type = static_cast<std::uint8_t>(x >> 20 & 7),
        .flags = static_cast<std::uint8_t>(x >> 24 & 0x5F)};
    data[(kHeaderPage + (position & (kCapacity - 1))) / 8] = word.pack();
  }
  }
}

// A peer as it should be, but for what it does with payloads that it has published.
void behave(const Writable& in, const Writable& out, const std::atomic<bool>& attack) {
  // Its mapping is not doubled: what would cross the end is not written.
  Random random;
  const auto sender = [&] {
    return RingSender({.header = reinterpret_cast<DataHeader*>(in.data.data()),
                       .map = RingMap<std::byte>::of(in.data.data() + kHeaderPage, kCapacity),
                       .control = reinterpret_cast<const Control*>(in.control.data())},
                      1);
  };
  const auto receiver = [&] {
    return RingReceiver(
        {.header = reinterpret_cast<const DataHeader*>(out.data.data()),
         .map = RingMap<const std::byte>::of(out.data.data() + kHeaderPage, kCapacity),
         .control = reinterpret_cast<Control*>(out.control.data())});
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
    const auto fits = [&] {
      return space.data() + space.size() <= in.data.data() + in.data.size();
    };
    if (sending.loan(16, {}, space) == Sent::Ok && fits()) {
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

// One of the threads goes on for each count of the eventfd.
void wait_for(int start) {
  std::uint64_t count = 0;
  while (::read(start, &count, sizeof count) != sizeof count) {
  }
}

// `sends`: the end that sends to the victim; `receives`: the other channel's.
[[noreturn]] void be_hostile(const ChannelMemory& in, const ChannelMemory& out, ChannelEnd sends,
                             ChannelEnd receives, Scoreboard& board, int start) {
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
    wait_for(start);
    for (Random random;;) {
      for (int i = 0; i < 1000; ++i) scribble(i % 4 == 0 ? out_memory : in_memory, random);
      board.words += 1000;
    }
  });
  pin(1);
  wait_for(start);
  for (Random random;;) {
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

} // namespace

void pin(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  ::sched_setaffinity(0, sizeof set, &set);
}

HostilePeer::HostilePeer(const ChannelMemory& in, const ChannelMemory& out)
    : start_(::eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE)) {
  void* const page = ::mmap(nullptr, sizeof(Scoreboard), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) std::abort();
  board_ = new (page) Scoreboard{};
  pid_ = ::fork();
  if (pid_ == 0)
    be_hostile(in, out, must(make_sender_end(in, Holder::Stranger)),
               must(make_receiver_end(out, Holder::Stranger)), *board_, start_.get());
}

HostilePeer::~HostilePeer() {
  (void)end();
  ::munmap(board_, sizeof(Scoreboard));
}

void HostilePeer::begin() {
  board_->attack = true;
  const std::uint64_t threads = 2;
  (void)!::write(start_.get(), &threads, sizeof threads);
}

bool HostilePeer::end() {
  if (pid_ < 0) return true;
  ::kill(pid_, SIGKILL);
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

} // namespace mohhos::soak
