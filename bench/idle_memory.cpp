// US-004: 50 plugins at once, running and idle; the memory that each has for itself (USS: private
// clean and dirty pages of smaps). Limit: the same of a C program that sleeps.
#include <csignal>
#include <sstream>
#include <stdexcept>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <benchmark/benchmark.h>

#include "support.hpp"

namespace mohhos::bench {
namespace {

constexpr int kPlugins = 50;

double private_kib(const std::string& pid) {
  std::istringstream lines(test::read_text("/proc/" + pid + "/smaps_rollup"));
  double sum = 0;
  std::string word;
  while (lines >> word) {
    double value = 0;
    if (word.starts_with("Private_") && lines >> value) sum += value;
  }
  return sum;
}

void idle_c_program(benchmark::State& state) {
  char* arguments[] = {const_cast<char*>("/bin/sleep"), const_cast<char*>("1000"), nullptr};
  pid_t pid = -1;
  if (posix_spawn(&pid, arguments[0], nullptr, nullptr, arguments, environ) != 0)
    state.SkipWithError("posix_spawn");
  // It sleeps once it waits in the kernel's timer, and has touched by then what it ever will.
  const bool sleeps = test::Daemon::eventually([&] {
    return test::read_text("/proc/" + std::to_string(pid) + "/wchan").find("nanosleep") !=
               std::string::npos ||
           private_kib(std::to_string(pid)) > 80;
  });
  for (auto _ : state) state.SetIterationTime(1);
  state.counters["kib"] = sleeps ? private_kib(std::to_string(pid)) : 0;
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
}
BENCHMARK(idle_c_program)->UseManualTime()->Iterations(1);

void idle_plugins(benchmark::State& state) {
  test::Daemon daemon;
  for (int i = 0; i < kPlugins; ++i) {
    const auto file = numbered_plugin(daemon, i);
    const test::Outcome outcome = daemon.load_and_start(file, file.stem());
    if (outcome.code != 0) throw std::runtime_error(outcome.err + daemon.log());
  }
  double sum = 0;
  double most = 0;
  for (int i = 0; i < kPlugins; ++i) {
    const std::string name = "bench_" + std::to_string(1000 + i).substr(1);
    const double kib = private_kib(daemon.value({"info", name}, "pid"));
    sum += kib;
    most = std::max(most, kib);
  }
  for (auto _ : state) state.SetIterationTime(1);
  state.counters["kib"] = sum / kPlugins;
  state.counters["most_kib"] = most;
  state.counters["plugins"] = kPlugins;
  if (const std::string left = daemon.stop(); !left.empty()) throw std::runtime_error(left);
}
BENCHMARK(idle_plugins)->UseManualTime()->Iterations(1);

} // namespace
} // namespace mohhos::bench

int main(int count, char** words) {
  return mohhos::bench::run_all(count, words);
}
