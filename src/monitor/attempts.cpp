#include "monitor/attempts.hpp"

#include <algorithm>

namespace mohhos::monitor {
namespace {

bool same_kind(const model::Refusal& a, const model::Refusal& b) {
  return a.syscall == b.syscall && a.verdict == b.verdict && a.self_reported == b.self_reported &&
         a.path == b.path && a.call == b.call;
}

} // namespace

Attempts::Attempts(std::vector<model::Refusal> entries, std::uint64_t lost) : lost_(lost) {
  for (model::Refusal& entry : entries) static_cast<void>(add(std::move(entry)));
}

bool Attempts::add(model::Refusal attempt) {
  ++revision_;
  const bool refused = attempt.verdict == model::Verdict::Refused;
  const auto known =
      std::ranges::find_if(entries_, [&](const auto& entry) { return same_kind(entry, attempt); });
  if (known != entries_.end()) {
    refused_ += refused ? attempt.count : 0;
    known->count += attempt.count;
    known->last_us = attempt.last_us;
    known->instruction = attempt.instruction;
    known->arguments = attempt.arguments;
    return false;
  }
  if (entries_.size() == kKeptAttempts) {
    lost_ += attempt.count;
    return false;
  }
  refused_ += refused ? attempt.count : 0;
  entries_.push_back(std::move(attempt));
  return true;
}

} // namespace mohhos::monitor
