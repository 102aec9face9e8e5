// The peer of the hostile soaks: a process of another user that has both memories of two channels,
// all of it writable, and one end's bells.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <sys/types.h>

#include <fmt/format.h>

#include "ipc/channel.hpp"

namespace mohhos::soak {

inline constexpr std::uint64_t kCapacity = 4096;

template <class T>
T must(Result<T> result) {
  if (!result) {
    fmt::print(stderr, "hostile: {}\n", result.error().text);
    std::abort();
  }
  return *std::move(result);
}

// A wish: the figures are steadier.
void pin(int core);

// What the two processes say to each other, beside the channels.
struct Scoreboard {
  std::atomic<bool> attack;
  std::atomic<std::uint64_t> words; // rewritten
  std::atomic<std::uint64_t> rings; // of bells
  std::atomic<std::uint64_t> fills; // of bells, with O_NONBLOCK cleared
  std::atomic<std::uint64_t> holes;
  std::atomic<std::uint64_t> truncations;
  std::atomic<std::uint64_t> truncated; // must be 0
  std::atomic<std::uint64_t> reopenings;
  std::atomic<std::uint64_t> reopened; // must be 0
};

// A peer that behaves until `begin()`, and is killed at the end.
class HostilePeer {
public:
  // Sends on `in` and receives on `out`. Both must outlive it.
  HostilePeer(const ipc::ChannelMemory& in, const ipc::ChannelMemory& out);
  ~HostilePeer();
  HostilePeer(const HostilePeer&) = delete;
  HostilePeer& operator=(const HostilePeer&) = delete;
  void begin();
  // Whether it lived until now.
  [[nodiscard]] bool end();
  [[nodiscard]] const Scoreboard& board() const { return *board_; }

private:
  Scoreboard* board_ = nullptr;
  sys::Fd start_;
  pid_t pid_ = -1;
};

} // namespace mohhos::soak
