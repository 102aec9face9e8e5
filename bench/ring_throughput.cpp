// Messages per second, one pair of pinned threads, each message published by itself (no batching);
// the receiver spins. Beside it the same over a plain head/tail ring, in the same run.
#include <benchmark/benchmark.h>
#include <memory>

#include "ring_support.hpp"

namespace mohhos::bench {
namespace {

constexpr int kBatch =
    100'000; // messages for each iteration, so that starting and joining does not count

template <class Ring>
void throughput(benchmark::State& state, std::uint32_t size) {
  const auto ring = std::make_unique<Ring>();
  std::atomic<std::int64_t> wanted = 0;
  std::atomic<bool> stopping = false;
  std::atomic<std::int64_t> received = 0;
  std::atomic<bool> ready = false;
  std::thread receiving([&] {
    pin_to(1);
    ready = true;
    std::int64_t count = 0;
    while (!stopping.load(std::memory_order_relaxed)) {
      if (count == wanted.load(std::memory_order_acquire)) continue;
      for (int i = 0; i < kBatch; ++i) ring->receive();
      count += kBatch;
      received.store(count, std::memory_order_release);
    }
  });
  while (!ready) std::this_thread::yield(); // it begins on our CPU
  pin_to(0);
  for (auto _ : state) {
    const std::int64_t target = wanted.load(std::memory_order_relaxed) + kBatch;
    wanted.store(target, std::memory_order_release);
    for (int i = 0; i < kBatch; ++i) ring->send(size);
    while (received.load(std::memory_order_acquire) != target) ipc::spin_pause();
  }
  stopping = true;
  receiving.join();
  state.SetItemsProcessed(state.iterations() * kBatch);
  state.SetBytesProcessed(state.iterations() * kBatch * size);
}

void ring_messages(benchmark::State& state) {
  throughput<Channel>(state, static_cast<std::uint32_t>(state.range(0)));
}
BENCHMARK(ring_messages)->Arg(48)->Arg(64)->Arg(1024)->UseRealTime();
void plain_ring_messages_64(benchmark::State& state) {
  throughput<PlainRing<64>>(state, 64);
}
BENCHMARK(plain_ring_messages_64)->UseRealTime();

} // namespace
} // namespace mohhos::bench

BENCHMARK_MAIN();
