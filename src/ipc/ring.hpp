// The ring's algorithm over memory that is already mapped: one sender, one receiver, no system
// call.
//
// The peer is hostile. It may rewrite every word that it owns at any time, so each shared word is
// loaded once into a private copy, judged there, and used from there. What breaks a rule breaks the
// channel (Broken, with the rule's name), never the process.
//
// Order of a send: payload and header without the first word; 0 into the first word of the slot
// behind, unless it is there already; then the first word, with release. So what follows the last
// published record is always 0, a sender may die between any two instructions, and its successor
// finds the end by walking from the tail.
//
// A lossy ring (ring_lossy.cpp) never makes its sender wait: it overwrites the oldest records and
// says first, in `oldest`, from where on they are whole. Its receiver copies, looks at `oldest`
// again, and counts what it missed by the records' numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "base/error.hpp"
#include "base/fast_clock.hpp"
#include "ipc/layout.hpp"
#include "ipc/message.hpp"
#include "ipc/shared_word.hpp"

namespace mohhos::ipc {

// Which rule a peer broke; the words are in breach_text(). None: it kept them all.
enum class Breach : std::uint8_t {
  None = 0,
  TailUnaligned,   // receiver's tail is not a multiple of 16
  TailBackwards,   // receiver's tail went back
  TailBeyondHead,  // receiver's tail passed what was sent
  WrongTag,        // a record carries the tag of another place or lap
  WrongType,       // a type that does not exist
  WrongFlags,      // a flag that does not exist
  TooLong,         // a record longer than the ring
  Overrun,         // a record that overlaps one that is not released
  NotAReply,       // something else than a response on a channel for responses
  BellStorm,       // the bell rings again and again, and there is no message
  OldestUnaligned, // a lossy ring's oldest is not a multiple of 16
};

enum class Loss : std::uint8_t { Never, Oldest };
[[nodiscard]] const char* breach_text(Breach breach) noexcept;

// The sender's view of the memory. data: 2 × capacity bytes, the ring mapped twice.
struct SenderMemory {
  DataHeader* header = nullptr;
  std::byte* data = nullptr;
  const Control* control = nullptr;
  std::uint64_t capacity = 0;
};

class RingSender {
public:
  // Takes up where the sender before stopped: walks the published records from the receiver's tail.
  // A tail or a record that breaks a rule ends the walk there: what lies behind was never
  // published. [any]
  RingSender(const SenderMemory& memory, std::uint32_t generation,
             Loss loss = Loss::Never) noexcept;

  enum class Outcome : std::uint8_t { Ok, Full, TooLarge, Broken };

  // Space for one message, `size` bytes to fill; valid until commit() or the next loan(), which
  // forgets it. Full: the receiver has not released enough (never of a lossy ring). [any]
  [[nodiscard]] Outcome loan(std::uint32_t size, const Outgoing& about, std::span<std::byte>& bytes,
                             Spacing spacing = Spacing::Apart) noexcept;
  // Publishes the loan; returns the message's id. The bytes are the receiver's from here on.
  // `more`: the next one follows at once, and may carry the same time: reading the clock costs half
  // as much as the rest. At most eight do, and none after must_wake(). [any]
  std::uint64_t commit(bool more = false) noexcept;

  // Whether the receiver sleeps and was not yet rung for this sleep; orders itself after commit().
  // When true, ring the data bell. [any]
  [[nodiscard]] bool must_wake() noexcept {
    follows_ = false;   // whoever looks may wait afterwards
    store_load_fence(); // the receiver: arm(), fence, ready()
    const std::uint32_t armed = load_relaxed(&memory_.control->armed);
    return armed % 2 != 0 && std::exchange(rung_, armed) != armed;
  }

  // Sleeping until there is space: arm, then try again, then wait for the space bell, then disarm.
  // [any]
  void arm() noexcept;
  void disarm() noexcept;

  // Ends the channel for a reason that the ring itself cannot see (BellStorm). [any]
  void condemn(Breach breach) noexcept { breach_ = breach; }
  [[nodiscard]] Breach breach() const noexcept { return breach_; }
  [[nodiscard]] std::uint64_t head() const noexcept { return head_; }
  [[nodiscard]] std::uint64_t capacity() const noexcept { return memory_.capacity; }
  // Whether all that was sent has been acknowledged. [any]
  [[nodiscard]] bool drained() const noexcept;
  // The pages of the ring that hold nothing and that no coming message needs at once: one stretch
  // of the double mapping; no bytes unless drained(). Giving them back to the system leaves zeros,
  // which is what free lines hold. [any]
  struct Pages {
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
  };
  [[nodiscard]] Pages spare_pages() noexcept;
  [[nodiscard]] SenderCounters& counters() noexcept { return memory_.header->counters; }
  [[nodiscard]] const SenderCounters& counters() const noexcept { return memory_.header->counters; }

private:
  void find_head() noexcept;
  // With what the next loan needs of it: computed behind a publication, not before one.
  void set_head(std::uint64_t position) noexcept {
    head_ = position;
    record_ = at(position);
    tag_ = tag_of(position);
  }
  [[nodiscard]] bool refresh_tail() noexcept;
  [[nodiscard]] bool make_room(std::uint64_t needed) noexcept;
  void give_up_oldest(std::uint64_t needed) noexcept;
  [[nodiscard]] bool cannot_loan(std::uint32_t size) const noexcept {
    return breach_ != Breach::None || loaned_ != 0 || size > largest_payload(memory_.capacity);
  }
  [[nodiscard]] bool reserve(PublishWord word) noexcept;
  [[nodiscard]] Outcome lend(PublishWord word, std::span<std::byte>& bytes) noexcept;
  // noinline: what is rare stays out of the usual way, which then needs few registers.
  [[nodiscard, gnu::noinline]] Outcome loan_special(std::uint32_t size, const Outgoing& about,
                                                    std::span<std::byte>& bytes,
                                                    bool apart) noexcept;
  [[nodiscard, gnu::noinline]] Outcome loan_with_care(std::uint32_t size, const Outgoing& about,
                                                      std::span<std::byte>& bytes,
                                                      bool apart) noexcept;
  [[gnu::noinline]] void look_ahead(std::uint64_t extent) noexcept;
  void zero_ahead() noexcept;
  void foresee(std::uint64_t extent) noexcept;
  [[nodiscard]] std::uint64_t time_of_next(bool more) noexcept;
  void set_high_mark() noexcept;
  void note_high_water() noexcept;
  [[nodiscard]] std::byte* at(std::uint64_t position) const noexcept {
    return memory_.data + (position & (memory_.capacity - 1));
  }
  [[nodiscard]] std::uint64_t free_bytes() const noexcept {
    return memory_.capacity - (head_ - tail_);
  }
  [[nodiscard]] std::uint64_t needed_for_loan() const noexcept {
    return loan_end_ - head_ + kGrain; // and the 0 behind it
  }

  SenderMemory memory_;
  std::uint64_t head_ = 0;
  std::uint64_t tail_ = 0;   // as last read: the receiver's own may be ahead of it; of a lossy ring
                             // the oldest record that is whole
  std::uint64_t loaned_ = 0; // the publish word of the open loan, 0: none
  std::byte* record_ = nullptr; // at head
  std::uint64_t loan_end_ = 0;  // where the open loan's record ends
  std::uint64_t zeroed_to_ = 0; // every line from head up to here begins with 0
  std::uint64_t foreseen_ = 0;  // one more place that holds a 0, or one that is behind us
  std::uint64_t high_mark_ = 0; // bytes in use from which on the high water is looked at
  FastClock clock_;
  std::uint64_t time_ns_ = 0;     // of the last message
  std::uint32_t shared_time_ = 0; // messages that may still carry it
  bool follows_ = false;          // the last one said that more follows at once
  std::uint32_t generation_;
  std::uint16_t tag_ = 0;     // of head
  std::uint32_t waiting_ = 0; // our word in DataHeader
  std::uint32_t rung_ = 0;    // the receiver's sleep that we rang for
  Breach breach_ = Breach::None;
  Loss loss_;
};

// The receiver's view of the memory.
struct ReceiverMemory {
  const DataHeader* header = nullptr;
  const std::byte* data = nullptr;
  Control* control = nullptr;
  std::uint64_t capacity = 0;
};

class RingReceiver {
public:
  // Goes on at the tail that the receiver before left: what it had not released comes again, and
  // what it had begun is flagged as redelivered. [any]
  explicit RingReceiver(const ReceiverMemory& memory) noexcept;

  enum class Outcome : std::uint8_t { Message, Empty, Broken };

  // The next message, if there is one. Several may be out before the first is released. [any]
  [[nodiscard]] Outcome next(View& view) noexcept;
  // The same of a lossy ring: the payload is a copy in `copy`, valid until the next call. [any]
  [[nodiscard]] Outcome next_lossy(View& view, std::vector<std::byte>& copy);
  // Whether next() would not say Empty. [any]
  [[nodiscard]] bool ready() const noexcept;
  // Of a lossy ring: whether what we would read next has been given up. [any]
  [[nodiscard]] bool overwritten() const noexcept;
  // Acknowledges this message and all before it. [any]
  void release(const View& view) noexcept { release(view.end, view.number); }
  void release(std::uint64_t end, std::uint64_t number) noexcept {
    CHECK(end - tail_ <= read_ - tail_);
    tail_ = end;
    store_release(&memory_.control->tail, end); // the sender's refresh_tail(): it may write there
    store_relaxed(&counters().acknowledged, number);
  }
  // Whether the sender sleeps for space and was not yet rung for this sleep. When true, ring the
  // space bell. Ask after release(): it looks when the tail crossed an eighth of the ring (a
  // waiting sender is woken for a stretch of space, not for a line); and with `idle`, when next()
  // said Empty. [any]
  [[nodiscard]] bool must_wake(bool idle) noexcept {
    const std::uint64_t step = idle ? kGrain : memory_.capacity / 8;
    return ((tail_ ^ told_) & ~(step - 1)) != 0 && sender_waits();
  }

  // Sleeping until there is a message: arm, then look once more, then wait for the data bell, then
  // disarm. The caller puts one seq_cst fence between arming all its rings and looking. [any]
  void arm() noexcept;
  void disarm() noexcept;

  // Ends the channel for a reason that the ring itself cannot see (NotAReply, BellStorm). [any]
  void condemn(Breach breach) noexcept { breach_ = breach; }
  [[nodiscard]] Breach breach() const noexcept { return breach_; }
  [[nodiscard]] std::uint64_t tail() const noexcept { return tail_; }
  [[nodiscard]] std::uint64_t capacity() const noexcept { return memory_.capacity; }
  // Whether every message that next() gave has been released. [any]
  [[nodiscard]] bool all_released() const noexcept { return read_ == tail_; }

  // Counts a message's way through the ring. [any]
  void note_latency(std::uint64_t ns) noexcept;
  [[nodiscard]] ReceiverCounters& counters() noexcept { return memory_.control->counters; }

private:
  [[nodiscard]] bool sender_waits() noexcept;
  [[nodiscard]] Breach judge(PublishWord word) const noexcept;
  void describe(const std::byte* record, PublishWord word, View& view) const noexcept;
  [[nodiscard]] bool skip_overwritten() noexcept;
  void count_missed(std::uint64_t number) noexcept;
  [[nodiscard]] const std::byte* at(std::uint64_t position) const noexcept {
    return memory_.data + (position & (memory_.capacity - 1));
  }

  ReceiverMemory memory_;
  std::uint64_t read_ = 0;  // next record to look at
  std::uint64_t tail_ = 0;  // released up to here
  std::uint64_t told_ = 0;  // tail at the last look at the sender's waiting word
  std::uint64_t again_ = 0; // the receiver before us had begun what lies before this
  std::uint64_t taken_ = 0; // messages
  std::uint32_t armed_ = 0; // our word in Control
  std::uint32_t rung_ = 0;  // the sender's sleep that we rang for
  Breach breach_ = Breach::None;
};

} // namespace mohhos::ipc
