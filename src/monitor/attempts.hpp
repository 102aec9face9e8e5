// What a plugin tried and was refused (or was allowed and is logged), aggregated: the same call
// with the same path is one entry with a count. Bounded; what finds no room is counted exactly.
#pragma once

#include <cstdint>
#include <vector>

#include "model/refusal.hpp"

namespace mohhos::monitor {

inline constexpr std::size_t kKeptAttempts = 256;

class Attempts {
public:
  Attempts() = default;
  // What another manager had collected; what is over the bound counts as lost.
  Attempts(std::vector<model::Refusal> entries, std::uint64_t lost);

  // True if this is the first of its kind (worth an audit record). count, first_us and last_us of
  // the argument are those of this one attempt; call, rule and hint are already filled.
  bool add(model::Refusal attempt);
  void add_lost(std::uint64_t count) {
    lost_ += count;
    revision_ += count != 0 ? 1 : 0;
  }

  // The most recent kind last. [pure]
  [[nodiscard]] const std::vector<model::Refusal>& entries() const { return entries_; }
  [[nodiscard]] std::uint64_t lost() const { return lost_; }
  // All that were refused, with the lost ones. [pure]
  [[nodiscard]] std::uint64_t refused() const { return refused_ + lost_; }

  // Rises with every change: whoever wrote them down at another number has something to do. [pure]
  [[nodiscard]] std::uint64_t revision() const { return revision_; }

private:
  std::vector<model::Refusal> entries_;
  std::uint64_t revision_ = 0;
  std::uint64_t lost_ = 0;
  std::uint64_t refused_ = 0;
};

} // namespace mohhos::monitor
