// What the ring benchmarks share: two pinned threads, our ring over a channel's real memory, and
// the rings and kernel primitives that it is measured against.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <thread>

#include <pthread.h>
#include <sched.h>

#include "ipc/channel.hpp"
#include "ipc/doorbell.hpp"
#include "ipc/shared_word.hpp"

namespace mohhos::bench {

inline void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "benchmark: %s\n", what);
  std::abort();
}

// Where the program was allowed to run when it began: a pinned thread's children inherit its one
// CPU.
inline const cpu_set_t kAllowedCpus = [] {
  cpu_set_t allowed;
  require(::sched_getaffinity(0, sizeof allowed, &allowed) == 0, "sched_getaffinity");
  return allowed;
}();

// The n-th of the CPUs that we may use.
inline void pin_to(unsigned n) {
  require(static_cast<unsigned>(CPU_COUNT(&kAllowedCpus)) > n, "two CPUs are needed");
  for (unsigned cpu = 0, seen = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &kAllowedCpus) || seen++ != n) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    ::pthread_setaffinity_np(::pthread_self(), sizeof one, &one);
    return;
  }
}

// Our channel, both ends.
struct Channel {
  explicit Channel(std::uint64_t ring_bytes = std::uint64_t{256} << 10) {
    auto memory = ipc::make_channel_memory(ring_bytes);
    require(memory.has_value(), "make_channel_memory");
    auto sender_end = ipc::make_sender_end(*memory);
    auto receiver_end = ipc::make_receiver_end(*memory);
    require(sender_end && receiver_end, "the ends of a channel");
    auto attached_sender = ipc::SendingChannel::attach(*std::move(sender_end), ring_bytes, 1);
    auto attached_receiver = ipc::ReceivingChannel::attach(*std::move(receiver_end), ring_bytes);
    require(attached_sender && attached_receiver, "attaching a channel");
    sender.emplace(*std::move(attached_sender));
    receiver.emplace(*std::move(attached_receiver));
  }
  void send(std::uint32_t size) {
    std::span<std::byte> space;
    while (sender->ring().loan(size, {}, space) != ipc::RingSender::Outcome::Ok) ipc::spin_pause();
    std::memset(space.data(), 1, space.size());
    sender->commit();
  }
  void receive() {
    ipc::View view;
    while (receiver->next(view) != ipc::RingReceiver::Outcome::Message) ipc::spin_pause();
    sum += std::to_integer<unsigned>(view.payload.back());
    receiver->release(view);
  }
  std::optional<ipc::SendingChannel> sender;
  std::optional<ipc::ReceivingChannel> receiver;
  unsigned sum = 0;
};

// The limit to compare with: a textbook ring of fixed slots with a head and a tail index, that
// trusts its peer, has no header, no timestamp, no ids and never wakes anybody.
template <std::size_t Size>
struct PlainRing {
  static constexpr std::uint64_t kSlots = 2048;
  void send(std::uint32_t) {
    const std::uint64_t at = head.load(std::memory_order_relaxed);
    while (at - tail_seen == kSlots) {
      tail_seen = tail.load(std::memory_order_acquire);
      if (at - tail_seen == kSlots) ipc::spin_pause();
    }
    std::memset(slots[at % kSlots], 1, Size);
    head.store(at + 1, std::memory_order_release);
  }
  void receive() {
    const std::uint64_t at = tail.load(std::memory_order_relaxed);
    while (head.load(std::memory_order_acquire) == at) ipc::spin_pause();
    sum += slots[at % kSlots][Size - 1];
    tail.store(at + 1, std::memory_order_release);
  }
  alignas(64) std::atomic<std::uint64_t> head = 0;
  std::uint64_t tail_seen = 0;
  alignas(64) std::atomic<std::uint64_t> tail = 0;
  alignas(64) unsigned char slots[kSlots][Size] = {};
  unsigned sum = 0;
};

} // namespace mohhos::bench
