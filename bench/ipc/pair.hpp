// Two processes on two CPUs that run slices of one contestant after the other.
//
// Why slices: where a virtual machine's CPUs happen to lie moves every figure, by a factor of three
// from one minute to the next. So a figure and its limit are never measured one after the other but
// in turns of some milliseconds, many times; each round gives one ratio, and what is reported is
// the median of the ratios.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <sys/types.h>

#include "contestant.hpp"
#include "shared.hpp"

namespace mohhos::bench {

enum class Kind : std::uint8_t {
  Latency,      // round trips; a value is ns one way, the mean of a slice
  Distribution, // round trips, each timed; its values are in the histogram
  Flow,         // a value is messages per second
};

// One line of a group. `values` has one entry for each round.
struct Row {
  std::string name;
  std::unique_ptr<Contestant> contestant;
  std::size_t size = 64; // of a payload
  std::vector<double> values = {};
  Histogram histogram = {};
  std::string absent = {};  // why it did not take part
  std::uint64_t count = 16; // messages of a slice, adapted from slice to slice
};

struct Group {
  std::string name;
  Kind kind{};
  std::chrono::milliseconds slice{};
  std::vector<Row> rows;
};

class Pair {
public:
  // Forks: the second process runs what the first orders, and ends with it. The groups are complete
  // before and never change again; only the first process fills in their results.
  explicit Pair(std::vector<Group>& groups);
  ~Pair();
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  // Rounds over all rows of the group until the time is over (five at least).
  void run(Group& group, std::chrono::milliseconds time);

private:
  enum class Verb : std::uint32_t { Open, Run, End };
  struct alignas(64) Order {
    std::atomic<std::uint32_t> number = 0;
    Verb verb{};
    std::uint32_t group = 0;
    std::uint32_t row = 0;
    std::uint64_t warm_up = 0;
    std::uint64_t count = 0;
    alignas(64) std::atomic<std::uint32_t> begun = 0;
    alignas(64) std::atomic<std::uint32_t> done = 0;
    char absent[256] = {}; // answer of the second process to Open
  };

  void give(Verb verb, std::uint32_t row, std::uint64_t count);
  void wait_done();
  [[nodiscard]] bool open(Row& row, std::uint32_t number);
  [[nodiscard]] double slice(const Group& group, std::uint32_t number, Histogram* histogram);
  void calibrate(const Group& group, std::uint32_t number);
  [[noreturn]] void serve();
  void serve_order(Order& order);

  std::vector<Group>& groups_;
  Shared<Order> order_;
  std::uint32_t group_ = 0;
  pid_t second_ = -1;
};

} // namespace mohhos::bench
