// A channel: one direction between two endpoints, as descriptors and as mapped memory.
//
// The manager makes the memory and hands out two different ends; it never maps it. Who may write
// what is the kernel's business: the sender's control and the receiver's data are read-only
// descriptors of memfds that are 0400 and belong to the manager, so they cannot be opened again for
// writing. Each side checks seals and size itself before it maps: a memfd that could shrink would
// be its SIGBUS.
#pragma once

#include <array>
#include <cstdint>
#include <deque>

#include "ipc/address_pool.hpp"
#include "ipc/ring.hpp"
#include "sys/fd.hpp"
#include "sys/mapping.hpp"

namespace mohhos::ipc {

// What the manager keeps of a channel (and gives into the warden's custody): all four, both
// memories writable.
struct ChannelMemory {
  sys::Fd data;
  sys::Fd control;
  sys::Fd data_bell;
  sys::Fd space_bell;
};

// New memory: sealed against resizing, 0400, headers written, bells made. Invalid unless
// is_ring_size(). `lap`: DataHeader's. [any]
[[nodiscard]] Result<ChannelMemory> make_channel_memory(std::uint64_t ring_bytes,
                                                        std::uint64_t lap = 0);

// One side's descriptors, in the order in which they travel with ChannelOpened.
struct ChannelEnd {
  sys::Fd data;
  sys::Fd control;
  sys::Fd data_bell;
  sys::Fd space_bell;

  [[nodiscard]] std::array<int, 4> in_order() const {
    return {data.get(), control.get(), data_bell.get(), space_bell.get()};
  }
};
// Who gets an end. A stranger has no filter that keeps it from spoiling the bell that the other
// side rings, so it gets that bell's ear only (doorbell.hpp).
enum class Holder : std::uint8_t { Confined, Stranger };
// Needs /proc/self/fd (the manager's; no endpoint has one). [any]
[[nodiscard]] Result<ChannelEnd> make_sender_end(const ChannelMemory& memory,
                                                 Holder holder = Holder::Confined);
[[nodiscard]] Result<ChannelEnd> make_receiver_end(const ChannelMemory& memory,
                                                   Holder holder = Holder::Confined);

// How an end maps its memory.
struct ChannelOptions {
  Loss loss = Loss::Never;
  bool huge_pages = false; // asks for them; the system may not have any
  Laps laps = {};          // a sender's; their bytes are the header's
};

// One side's view of both memories.
struct ChannelMappings {
  sys::Mapping data;       // header page, ring, ring again
  PooledMapping beginning; // header page and the ring's beginning, of a ring that has it (RingMap)
  sys::Mapping control;

  [[nodiscard]] std::byte* header() const {
    return beginning.data() != nullptr ? beginning.data() : data.data();
  }
  // Byte: const for who may only read.
  template <class Byte>
  [[nodiscard]] RingMap<Byte> ring(std::uint64_t capacity) const {
    return RingMap<Byte>::of(data.data() + kHeaderPage, capacity,
                             beginning.data() != nullptr ? beginning.data() + kHeaderPage
                                                         : nullptr);
  }
};

class SendingChannel {
public:
  // Untrusted: seals, size or header are not what they must be. `generation`: of this process.
  // [any]
  [[nodiscard]] static Result<SendingChannel> attach(ChannelEnd end, std::uint64_t ring_bytes,
                                                     std::uint32_t generation,
                                                     const ChannelOptions& options = {});
  [[nodiscard]] RingSender& ring() noexcept { return ring_; }
  [[nodiscard]] const RingSender& ring() const noexcept { return ring_; }
  // Publishes, and rings if the receiver sleeps. Returns the message's id. `more`: looks at the
  // receiver for one message in 64 only, and after the last one the caller owes a wake(). [any]
  std::uint64_t commit(bool more = false) noexcept {
    const std::uint64_t id = ring_.commit(more);
    if (++unlooked_ >= kLookEvery || !more) wake();
    return id;
  }
  // Rings if the receiver sleeps and was not looked at since the last commit. [any]
  void wake() noexcept {
    if (unlooked_ == 0) return;
    unlooked_ = 0;
    if (ring_.must_wake()) [[unlikely]]
      ring_bell();
  }
  // Gives the ring's memory back to the system, but for what is unread and a page or two: of a
  // channel that is idle, or has been busier. [any]
  void return_memory() noexcept;
  // Times that the receiver was rung: system calls. [any]
  [[nodiscard]] std::uint64_t bells() const noexcept { return ring_.counters().bells; }
  [[nodiscard]] int space_bell() const noexcept { return space_bell_.get(); }

private:
  SendingChannel(ChannelMappings mappings, sys::Fd data_bell, sys::Fd space_bell, RingSender ring);
  void ring_bell() noexcept;

  static constexpr std::uint32_t kLookEvery = 64; // messages
  ChannelMappings mappings_;
  sys::Fd data_bell_;
  sys::Fd space_bell_;
  RingSender ring_;
  std::uint32_t unlooked_ = 0; // messages since the last look at the receiver
};

class ReceivingChannel {
public:
  [[nodiscard]] static Result<ReceivingChannel> attach(ChannelEnd end, std::uint64_t ring_bytes,
                                                       const ChannelOptions& options = {});
  [[nodiscard]] RingReceiver& ring() noexcept { return ring_; }
  [[nodiscard]] const RingReceiver& ring() const noexcept { return ring_; }
  // The ring's next(); when it says Empty, a sender that waits for space hears of all of it. [any]
  [[nodiscard]] RingReceiver::Outcome next(View& view) noexcept {
    if (loss_ == Loss::Oldest) [[unlikely]]
      return next_copy(view);
    const RingReceiver::Outcome outcome = ring_.next(view);
    if (outcome == RingReceiver::Outcome::Empty && ring_.must_wake(true)) ring_bell();
    return outcome;
  }
  // Whether next() would not say Empty. [any]
  [[nodiscard]] bool ready() const noexcept {
    return ring_.ready() || (loss_ == Loss::Oldest && ring_.overwritten());
  }
  // Acknowledges, and rings if the sender sleeps for space. [any]
  void release(const View& view) noexcept { release(view.end, view.number); }
  // Whether every message that next() gave has been released. [any]
  [[nodiscard]] bool all_released() const noexcept {
    return ring_.all_released() && copies_.empty();
  }
  void release(std::uint64_t end, std::uint64_t number) noexcept {
    if (loss_ == Loss::Oldest) [[unlikely]]
      return release_copies(number);
    ring_.release(end, number);
    if (ring_.must_wake(false)) [[unlikely]]
      ring_bell();
  }
  // Messages that the sender says it had no room for and dropped. [any]
  [[nodiscard]] std::uint64_t dropped() const noexcept;
  [[nodiscard]] int data_bell() const noexcept { return data_bell_.get(); }

private:
  ReceivingChannel(ChannelMappings mappings, sys::Fd data_bell, sys::Fd space_bell,
                   RingReceiver ring, Loss loss);
  ChannelMappings mappings_;
  sys::Fd data_bell_;
  sys::Fd space_bell_;
  RingReceiver ring_;
  // Of a lossy ring: its messages that are out, as copies. In the ring they are acknowledged at
  // once, because there they are gone when the sender likes.
  struct Copy {
    std::uint64_t number = 0;
    std::vector<std::byte> bytes;
  };
  [[nodiscard]] RingReceiver::Outcome next_copy(View& view);
  void release_copies(std::uint64_t number) noexcept;
  void ring_bell() noexcept;
  Loss loss_;
  std::deque<Copy> copies_;
  std::vector<std::byte> spare_; // the memory of one that was released
};

} // namespace mohhos::ipc
