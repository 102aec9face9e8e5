// What nothing between two processes can beat, or what costs nothing for safety: the rows that ours
// are held against.
#pragma once

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>

#include <linux/futex.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fast_clock.hpp"
#include "contestant.hpp"
#include "ipc/shared_word.hpp"
#include "payload.hpp"
#include "shared.hpp"

namespace mohhos::bench {

// One word in one cache line that goes back and forth.
class CacheLine {
public:
  std::optional<std::string> open(Side) { return {}; }
  // The first writes odd numbers, the second even ones.
  void send() { line_->word.store(++value_, std::memory_order_release); }
  void receive() {
    while (line_->word.load(std::memory_order_acquire) != value_ + 1) ipc::spin_pause();
    ++value_;
  }

private:
  struct alignas(64) Line {
    std::atomic<std::uint64_t> word = 0;
  };
  Shared<Line> line_;
  std::uint64_t value_ = 0;
};

// A futex of its own for each direction, woken and waited for at each message.
class BareFutex {
public:
  std::optional<std::string> open(Side side) {
    side_ = side;
    return {};
  }
  void send() {
    std::atomic<std::uint32_t>& word = words_->word[index(side_)].value;
    word.store(1);
    ::syscall(SYS_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
  }
  void receive() {
    std::atomic<std::uint32_t>& word = words_->word[index(other(side_))].value;
    while (word.exchange(0) == 0) ::syscall(SYS_futex, &word, FUTEX_WAIT, 0, nullptr, nullptr, 0);
  }

private:
  struct alignas(64) Word {
    std::atomic<std::uint32_t> value = 0;
  };
  struct Words {
    std::array<Word, 2> word;
  };
  Shared<Words> words_;
  Side side_{};
};

// A blocking eventfd for each direction: write, and read on the other side.
class BareEventFd {
public:
  BareEventFd() {
    for (int& fd : fds_) {
      fd = ::eventfd(0, EFD_CLOEXEC);
      require(fd >= 0, "eventfd");
    }
  }
  std::optional<std::string> open(Side side) {
    side_ = side;
    return {};
  }
  void send() {
    const std::uint64_t one = 1;
    require(::write(fds_[index(side_)], &one, sizeof one) == sizeof one, "eventfd");
  }
  void receive() {
    std::uint64_t count = 0;
    ssize_t got = 0;
    do got = ::read(fds_[index(other(side_))], &count, sizeof count);
    while (got < 0 && errno == EINTR);
    require(got == sizeof count, "eventfd");
  }

private:
  std::array<int, 2> fds_{};
  Side side_{};
};

inline constexpr std::uint64_t kSlots = 2048; // a multiple of every batch

// What lies in a slot: nothing but the payload …
template <std::size_t Payload>
class Bare {
public:
  static constexpr std::size_t kSize = Payload;
  void write(void* slot) { fill<Payload>(slot); }
  unsigned read(const void* slot) { return look<Payload>(slot); }
};
// … or what US-004 wants beside it: the time when it was sent, which the receiver holds against its
// own clock once in eight messages, as an Endpoint does; and a word with type and size, where the
// ring has none for each slot.
template <std::size_t Payload, std::size_t Words = 2>
class Headed {
public:
  static constexpr std::size_t kSize = Words * 8 + Payload;
  void write(void* slot) {
    std::array<std::uint64_t, Words> header{};
    header.front() = Payload;
    header.back() = clock_.now();
    std::memcpy(slot, header.data(), sizeof header);
    fill<Payload>(static_cast<unsigned char*>(slot) + sizeof header);
  }
  unsigned read(const void* slot) {
    std::array<std::uint64_t, Words> header{};
    std::memcpy(header.data(), slot, sizeof header);
    if (++read_ % 8 == 0) latest_ = clock_.now() - header.back();
    return look<Payload>(static_cast<const unsigned char*>(slot) + sizeof header) +
           static_cast<unsigned>(header.front() + latest_);
  }

private:
  FastClock clock_;
  std::uint64_t read_ = 0;
  std::uint64_t latest_ = 0;
};

// What rings of fixed slots have in common: one for each direction, and a tail that the sender
// looks at when what it knows to be free is used up.
template <class Ring>
class SlotRings {
public:
  std::optional<std::string> open(Side side) {
    out_ = &rings_->ring[index(side)];
    in_ = &rings_->ring[index(other(side))];
    return {};
  }

protected:
  void wait_for_slot() {
    while (sent_ - tail_seen_ == kSlots) {
      tail_seen_ = out_->tail.load(std::memory_order_acquire);
      if (sent_ - tail_seen_ == kSlots) ipc::spin_pause();
    }
  }
  void release() { in_->tail.store(++taken_, std::memory_order_release); }

  Ring* out_ = nullptr;
  Ring* in_ = nullptr;
  std::uint64_t sent_ = 0;
  std::uint64_t taken_ = 0;
  unsigned sum_ = 0;

private:
  struct Rings {
    std::array<Ring, 2> ring;
  };
  Shared<Rings> rings_;
  std::uint64_t tail_seen_ = 0;
};

template <class Slot>
struct HeadTail {
  alignas(64) std::atomic<std::uint64_t> head = 0;
  alignas(64) std::atomic<std::uint64_t> tail = 0;
  alignas(64) std::array<Slot, kSlots> slots = {};
};

// The textbook ring: fixed slots, a head and a tail index, no check, and nobody is ever woken.
// Batch: the head is published once for so many messages. Cached: the receiver remembers the head
// too, so that in a flow it looks at the sender's line once for many messages.
template <std::size_t Size, std::uint64_t Batch = 1, bool Cached = false,
          class Content = Bare<Size>>
class HeadTailRing : public SlotRings<HeadTail<std::array<unsigned char, Content::kSize>>> {
public:
  void send() {
    write();
    publish();
  }
  void send_more()
    requires(Batch > 1)
  {
    write();
    if (this->sent_ % Batch == 0) publish();
  }
  void receive() {
    while (!Cached || head_seen_ == this->taken_) {
      head_seen_ = this->in_->head.load(std::memory_order_acquire);
      if (head_seen_ != this->taken_) break;
      ipc::spin_pause();
    }
    this->sum_ += content_.read(this->in_->slots[this->taken_ % kSlots].data());
    this->release();
  }

private:
  void write() {
    this->wait_for_slot();
    content_.write(this->out_->slots[this->sent_ % kSlots].data());
    ++this->sent_;
  }
  void publish() { this->out_->head.store(this->sent_, std::memory_order_release); }

  std::uint64_t head_seen_ = 0;
  Content content_;
};

template <std::size_t Size>
struct Laps {
  struct alignas(64) Slot {
    std::atomic<std::uint64_t> lap = 0;
    std::array<unsigned char, Size> content = {};
  };
  alignas(64) std::atomic<std::uint64_t> tail = 0;
  alignas(64) std::array<Slot, kSlots> slots = {};
};

// Our idea without our safety: fixed slots, each published by its own first word, which carries the
// lap. No bounds, no double mapping, nobody is woken.
template <std::size_t Size, class Content = Bare<Size>>
class LapRing : public SlotRings<Laps<Content::kSize>> {
public:
  void send() {
    this->wait_for_slot();
    auto& slot = this->out_->slots[this->sent_ % kSlots];
    content_.write(slot.content.data());
    slot.lap.store(this->sent_ / kSlots + 1, std::memory_order_release);
    ++this->sent_;
  }
  void receive() {
    auto& slot = this->in_->slots[this->taken_ % kSlots];
    while (slot.lap.load(std::memory_order_acquire) != this->taken_ / kSlots + 1) ipc::spin_pause();
    this->sum_ += content_.read(slot.content.data());
    this->release();
  }

private:
  Content content_;
};

} // namespace mohhos::bench
