// US-004: one-way latency over 10,000 messages and messages per second, over the whole real path:
// two signed, confined plugins, SDK, host, ring. Sleeping (the receiver waits on its doorbell at
// once) and spinning. (The ring alone, and what it is held against, are ring_latency.cpp and
// ring_throughput.cpp.) Limit here: an eventfd ping-pong between two processes.
#include <sstream>
#include <stdexcept>

#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <benchmark/benchmark.h>

#include "support.hpp"

namespace mohhos::bench {
namespace {

void eventfd_one_way(benchmark::State& state) {
  const int to = eventfd(0, EFD_CLOEXEC);
  const int from = eventfd(0, EFD_CLOEXEC);
  const pid_t child = fork();
  std::uint64_t value = 1;
  while (child == 0) {
    if (read(to, &value, sizeof value) != sizeof value || value == 2) _exit(0);
    if (write(from, &value, sizeof value) != sizeof value) _exit(1);
  }
  for (auto _ : state) {
    const auto begin = std::chrono::steady_clock::now();
    const std::uint64_t one = 1;
    if (write(to, &one, sizeof one) != sizeof one ||
        read(from, &value, sizeof value) != sizeof value)
      break;
    state.SetIterationTime(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / 2);
  }
  const std::uint64_t end = 2;
  (void)!write(to, &end, sizeof end);
  waitpid(child, nullptr, 0);
  close(to);
  close(from);
}
BENCHMARK(eventfd_one_way)->UseManualTime()->Iterations(10000);

// ping and pong with this spin time; pong echoes or swallows.
struct Pair {
  Pair(const char* spin_us, const char* echo) {
    const std::string config = std::string("[config]\n\"mohhos.spin_us\" = \"") + spin_us + "\"\n";
    daemon.grant("ping", config);
    daemon.grant("pong", config + "echo = \"" + echo + "\"\n");
    for (const char* name : {"pong", "ping"}) {
      const test::Outcome outcome = daemon.load_and_start(daemon.sign(plugin_file(name)), name);
      if (outcome.code != 0) throw std::runtime_error(outcome.err + daemon.log());
    }
  }

  std::string ask(const std::string& what) {
    const test::Outcome outcome =
        daemon.plugctl({"call", "ping", what, "--timeout", "60s"}, std::chrono::seconds(70));
    if (outcome.code != 0) throw std::runtime_error(outcome.err + daemon.log());
    return outcome.out;
  }

  test::Daemon daemon;
};

void latency(benchmark::State& state, const char* spin_us) {
  Pair pair(spin_us, "1");
  (void)pair.ask("latency 2000 64"); // warm
  std::istringstream answer(pair.ask("latency 10000 64"));
  double p50 = 0;
  double p90 = 0;
  double p99 = 0;
  double max = 0;
  answer >> p50 >> p90 >> p99 >> max;
  for (auto _ : state) state.SetIterationTime(p50 / 1e9);
  state.counters["p50_ns"] = p50;
  state.counters["p90_ns"] = p90;
  state.counters["p99_ns"] = p99;
  state.counters["max_ns"] = max;
}
BENCHMARK_CAPTURE(latency, sleeping, "0")->UseManualTime()->Iterations(1);
BENCHMARK_CAPTURE(latency, spinning, "100000")->UseManualTime()->Iterations(1);

void throughput(benchmark::State& state) {
  Pair pair("50", "0");
  constexpr double kMessages = 5'000'000;
  (void)pair.ask("throughput 500000 64");
  const double ns = std::stod(pair.ask("throughput 5000000 64"));
  for (auto _ : state) state.SetIterationTime(ns / 1e9);
  state.counters["messages_per_second"] = kMessages / (ns / 1e9);
}
BENCHMARK(throughput)->UseManualTime()->Iterations(1);

} // namespace
} // namespace mohhos::bench

int main(int count, char** words) {
  return mohhos::bench::run_all(count, words);
}
