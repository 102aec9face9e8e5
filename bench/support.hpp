// A daemon for a benchmark, the plugins of bench/plugins signed for it, and the programs to compare
// with.
#pragma once

#include <cstdio>
#include <exception>
#include <string>

#include <benchmark/benchmark.h>

#include "harness/daemon.hpp"

namespace mohhos::bench {

inline std::filesystem::path plugin_file(const std::string& name) {
  return std::filesystem::path(BENCH_PLUGINS) / (name + ".so");
}

// A copy of bench_000.so under another name of the same length, "bench_042", signed. The name
// stands in the manifest and in the plugin's table; both are replaced. (A hundred targets would say
// the same more slowly.)
inline std::filesystem::path numbered_plugin(const test::Daemon& daemon, int number) {
  const std::string name = "bench_" + std::to_string(1000 + number).substr(1);
  std::string bytes = test::read_text(plugin_file("bench_000"));
  for (std::size_t at = bytes.find("bench_000"); at != std::string::npos;
       at = bytes.find("bench_000", at + 1))
    bytes.replace(at, name.size(), name);
  const std::filesystem::path file = daemon.root() / "unsigned" / (name + ".so");
  std::filesystem::create_directories(file.parent_path());
  test::write_text(file, bytes);
  return daemon.sign(file);
}

// One number of a JSON answer of plugctl, in seconds.
inline double seconds_of(const test::Daemon& daemon, const std::string& name, const char* field) {
  return static_cast<double>(test::number(daemon.value({"info", name}, field))) / 1e6;
}

// What BENCHMARK_MAIN does; but a benchmark that throws takes its daemon down with it.
inline int run_all(int count, char** words) try {
  benchmark::Initialize(&count, words);
  if (benchmark::ReportUnrecognizedArguments(count, words)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}

} // namespace mohhos::bench
