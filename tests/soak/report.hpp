// What a soak says at its end: each count with what it is a count of, each measure with its unit.
// Text for people on standard error while it runs, one JSON object as the last line of standard
// output for tools/soak.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace mohhos::soak {

using Clock = std::chrono::steady_clock;

// The one argument of every soak: how many seconds; 0: one round, as ctest runs it.
inline double seconds_argument(int argc, char** argv, double otherwise) {
  return argc > 1 ? std::strtod(argv[1], nullptr) : otherwise;
}

// The main of a soak that draws lots: `[SECONDS [SEED]]`; the seed is printed with the report.
inline int run_with_seed(const char* name, int argc, char** argv,
                         int (*run)(double seconds, std::uint64_t seed)) {
  const double seconds = seconds_argument(argc, argv, 60);
  const std::uint64_t seed =
      argc > 2 ? std::strtoull(argv[2], nullptr, 10) : std::random_device{}() % 1'000'000;
  try {
    return run(seconds, seed);
  } catch (const std::exception& failed) {
    fmt::print(stderr, "{}: {}\n", name, failed.what());
    return EXIT_FAILURE;
  }
}

class Report {
public:
  explicit Report(std::string_view name) : name_(name) {}

  // `found` of `of`: must be 0.
  void zero(std::string_view what, std::uint64_t found, std::uint64_t of, std::string_view unit) {
    counts_.push_back({std::string(what), found, of, std::string(unit)});
  }
  void figure(std::string_view what, double value, std::string_view unit) {
    figures_.push_back({std::string(what), value, std::string(unit)});
  }
  // The first few in words; all are counted.
  void note(std::string_view words) {
    if (++noted_ <= 10) fmt::print(stderr, "{}: {}\n", name_, words);
  }
  // Prints everything; the exit status of the program.
  [[nodiscard]] int finish() {
    const double seconds = std::chrono::duration<double>(Clock::now() - began_).count();
    bool good = noted_ == 0;
    std::string json;
    for (const Count& count : counts_) {
      good = good && count.found == 0 && count.of != 0; // nothing of nothing is no proof
      fmt::print(stderr, "{}: {} {} of {} {}\n", name_, count.found, count.what, count.of,
                 count.unit);
      json += fmt::format(R"({}{{"what":"{}","found":{},"of":{},"unit":"{}"}})",
                          json.empty() ? "" : ",", count.what, count.found, count.of, count.unit);
    }
    std::string figures;
    for (const Figure& figure : figures_) {
      fmt::print(stderr, "{}: {} {:.4g} {}\n", name_, figure.what, figure.value, figure.unit);
      figures += fmt::format(R"({}{{"what":"{}","value":{:.6g},"unit":"{}"}})",
                             figures.empty() ? "" : ",", figure.what, figure.value, figure.unit);
    }
    fmt::print(R"({{"soak":"{}","good":{},"seconds":{:.2f},"counts":[{}],"figures":[{}]}})"
               "\n",
               name_, good, seconds, json, figures);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
  }

private:
  struct Count {
    std::string what;
    std::uint64_t found;
    std::uint64_t of;
    std::string unit;
  };
  struct Figure {
    std::string what;
    double value;
    std::string unit;
  };
  std::string name_;
  Clock::time_point began_ = Clock::now();
  std::uint64_t noted_ = 0;
  std::vector<Count> counts_;
  std::vector<Figure> figures_;
};

} // namespace mohhos::soak
