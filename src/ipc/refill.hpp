// Messages put into a ring from outside, by pwrite, before anybody has mapped it: what a journal
// kept of a ring that is gone. Their receiver finds them as begun and not acknowledged, so it gets
// them flagged as redelivered; their sender, when it comes, goes on behind them.
#pragma once

#include <cstdint>
#include <span>

#include "base/error.hpp"
#include "ipc/message.hpp"

namespace mohhos::ipc {

class Refill {
public:
  // The memories of a new ring, by descriptor; they must outlive this.
  Refill(int data, int control, std::uint64_t capacity)
      : data_(data), control_(control), capacity_(capacity) {}
  // What a payload of this size takes in a ring, at most. [pure]
  [[nodiscard]] static std::uint64_t extent(std::uint64_t payload);
  // Behind the last one; Exhausted when the ring has no more room. Of `info` count type, priority,
  // event and generation: nobody waits for an answer any more, and its clock may be another boot's.
  // Returns the position behind it. [any]
  [[nodiscard]] Result<std::uint64_t> put(const MessageInfo& info,
                                          std::span<const std::byte> payload);
  [[nodiscard]] Result<> finish();
  [[nodiscard]] std::uint64_t end() const { return end_; }

private:
  int data_;
  int control_;
  std::uint64_t capacity_;
  std::uint64_t end_ = 0;
  std::uint64_t count_ = 0;
  std::uint64_t bytes_ = 0;
};

} // namespace mohhos::ipc
