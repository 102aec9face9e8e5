// US-004: 100 plugins are loaded, one after the other, and started; time from the request to LOADED
// and to RUNNING as the manager measures it (verified, confined, dlopened, initialised). Limit:
// fork, exec and exit of a program that does nothing.
#include <numeric>
#include <stdexcept>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <benchmark/benchmark.h>

#include "support.hpp"

namespace mohhos::bench {
namespace {

constexpr int kPlugins = 100;

void fork_and_exec(benchmark::State& state) {
  char* arguments[] = {const_cast<char*>("/bin/true"), nullptr};
  for (auto _ : state) {
    pid_t pid = -1;
    if (posix_spawn(&pid, arguments[0], nullptr, nullptr, arguments, environ) != 0)
      state.SkipWithError("posix_spawn");
    waitpid(pid, nullptr, 0);
  }
}
BENCHMARK(fork_and_exec)->Unit(benchmark::kMillisecond)->UseRealTime();

struct Times {
  std::vector<double> load;
  std::vector<double> start;
};

Times measure() {
  test::Daemon daemon;
  Times times;
  for (int i = 0; i < kPlugins; ++i) {
    const auto file = numbered_plugin(daemon, i);
    const std::string name = file.stem();
    const test::Outcome outcome = daemon.load_and_start(file, name);
    if (outcome.code != 0) throw std::runtime_error(outcome.err + daemon.log());
    times.load.push_back(seconds_of(daemon, name, "load_us"));
    times.start.push_back(seconds_of(daemon, name, "start_us"));
  }
  if (const std::string left = daemon.stop(); !left.empty()) throw std::runtime_error(left);
  return times;
}

const Times& times() {
  static const Times kTimes = measure();
  return kTimes;
}

void report(benchmark::State& state, std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  for (auto _ : state) state.SetIterationTime(seconds[seconds.size() / 2]);
  state.counters["p50_us"] = seconds[seconds.size() / 2] * 1e6;
  state.counters["p99_us"] = seconds[seconds.size() * 99 / 100] * 1e6;
  state.counters["plugins"] = static_cast<double>(seconds.size());
}

void load_100_plugins(benchmark::State& state) {
  report(state, times().load);
}
void start_100_plugins(benchmark::State& state) {
  report(state, times().start);
}
BENCHMARK(load_100_plugins)->Unit(benchmark::kMillisecond)->UseManualTime()->Iterations(1);
BENCHMARK(start_100_plugins)->Unit(benchmark::kMillisecond)->UseManualTime()->Iterations(1);

} // namespace
} // namespace mohhos::bench

int main(int count, char** words) {
  return mohhos::bench::run_all(count, words);
}
