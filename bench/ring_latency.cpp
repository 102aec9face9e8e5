// One way from sender to receiver, as half a round trip between two pinned threads: spinning, and
// asleep (the receiver is woken for every message). Beside each its limit, in the same run: a plain
// head/tail ring, a bare eventfd, a bare futex.
#include <benchmark/benchmark.h>
#include <linux/futex.h>
#include <memory>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ring_support.hpp"

namespace mohhos::bench {
namespace {

// Runs `echo` in a second thread until the state ends; one iteration is a round trip.
template <class Ping, class Echo, class Stop>
void round_trips(benchmark::State& state, Ping ping, Echo echo, Stop stop) {
  std::atomic<bool> stopping = false;
  std::atomic<bool> ready = false;
  std::thread peer([&] {
    pin_to(1);
    ready = true;
    while (!stopping.load(std::memory_order_relaxed)) echo();
  });
  while (!ready) std::this_thread::yield(); // it begins on our CPU
  pin_to(0);
  for (int i = 0; i < 1000; ++i) ping();
  const std::uint64_t begin = ipc::monotonic_ns();
  for (auto _ : state) ping();
  const std::uint64_t end = ipc::monotonic_ns();
  stopping = true;
  stop();
  peer.join();
  state.counters["one_way_ns"] =
      static_cast<double>(end - begin) / 2 / static_cast<double>(state.iterations());
}

template <class Ring>
void spinning(benchmark::State& state, std::uint32_t size) {
  const auto there = std::make_unique<Ring>();
  const auto back = std::make_unique<Ring>();
  round_trips(
      state,
      [&] {
        there->send(size);
        back->receive();
      },
      [&] {
        there->receive();
        back->send(size);
      },
      // The peer may wait for one more message, or be about to look whether it should stop.
      [&] { there->send(size); });
}

void ring_spinning(benchmark::State& state) {
  spinning<Channel>(state, static_cast<std::uint32_t>(state.range(0)));
}
BENCHMARK(ring_spinning)->Arg(48)->Arg(64)->Arg(1024)->UseRealTime();
void plain_ring_spinning_64(benchmark::State& state) {
  spinning<PlainRing<64>>(state, 64);
}
BENCHMARK(plain_ring_spinning_64)->UseRealTime();

// --- asleep ---

void sleep_on(int bell) {
  pollfd wait{bell, POLLIN, 0};
  require(::poll(&wait, 1, 10'000) == 1, "a wake-up was lost");
  std::uint64_t count = 0;
  require(::read(bell, &count, sizeof count) == sizeof count, "reading a bell");
}

void receive_asleep(Channel& channel) {
  ipc::RingReceiver& ring = channel.receiver->ring();
  ring.arm();
  ipc::store_load_fence();
  if (!ring.ready()) sleep_on(channel.receiver->data_bell());
  ring.disarm();
  channel.receive();
}

void ring_asleep(benchmark::State& state) {
  Channel there;
  Channel back;
  round_trips(
      state,
      [&] {
        there.send(64);
        receive_asleep(back);
      },
      [&] {
        receive_asleep(there);
        back.send(64);
      },
      [&] { there.send(64); });
}
BENCHMARK(ring_asleep)->UseRealTime();

void eventfd_asleep(benchmark::State& state) {
  const auto there = ipc::make_doorbell();
  const auto back = ipc::make_doorbell();
  require(there && back, "eventfd");
  round_trips(
      state,
      [&] {
        ipc::ring_doorbell(there->get());
        sleep_on(back->get());
      },
      [&] {
        sleep_on(there->get());
        ipc::ring_doorbell(back->get());
      },
      [&] { ipc::ring_doorbell(there->get()); });
}
BENCHMARK(eventfd_asleep)->UseRealTime();

struct Futex {
  std::atomic<std::uint32_t> word = 0;
  void post() {
    word.store(1);
    ::syscall(SYS_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
  }
  void wait() {
    while (word.exchange(0) == 0) ::syscall(SYS_futex, &word, FUTEX_WAIT, 0, nullptr, nullptr, 0);
  }
};

void futex_asleep(benchmark::State& state) {
  Futex there;
  Futex back;
  round_trips(
      state,
      [&] {
        there.post();
        back.wait();
      },
      [&] {
        there.wait();
        back.post();
      },
      [&] { there.post(); });
}
BENCHMARK(futex_asleep)->UseRealTime();

} // namespace
} // namespace mohhos::bench

BENCHMARK_MAIN();
