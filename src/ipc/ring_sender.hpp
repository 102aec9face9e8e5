// The ring's sending side. The usual loan and its commit are here, to be inlined; what is rare is
// in ring_sender.cpp and kept out of line, so that the usual way needs few registers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "base/check.hpp"
#include "base/fast_clock.hpp"
#include "ipc/breach.hpp"
#include "ipc/layout.hpp"
#include "ipc/message.hpp"
#include "ipc/ring_map.hpp"
#include "ipc/shared_word.hpp"

namespace mohhos::ipc {

// Whether a sender that finds no room waits for it, or overwrites the oldest records.
enum class Loss : std::uint8_t { Never, Oldest };

// When a flow begins anew where the ring begins: after a lap of so many bytes (DataHeader::lap) and
// messages, in which it was not dense (took less time than this) and whose receiver kept up.
struct Laps {
  std::uint64_t bytes = 0;     // 0: never
  std::uint64_t messages = 16; // a lap's end costs a look at the tail
  std::uint64_t dense_ns = 400'000;
};

// The sender's view of the memory.
struct SenderMemory {
  DataHeader* header = nullptr;
  RingMap<std::byte> map = {};
  const Control* control = nullptr;
  Laps laps = {};
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
                             Spacing spacing = Spacing::Apart) noexcept {
    PublishWord word{size, tag_, static_cast<std::uint8_t>(about.type), flags_of(about)};
    if (spacing == Spacing::Apart && size <= largest_apart_) word.flags |= kApart;
    const std::uint64_t end = word.end(head_);
    const bool has_room = static_cast<std::int64_t>(limit_ - end) >= 0;
    if (!has_room || loaned_ != 0 || !is_plain(about) || size >= long_from_) [[unlikely]]
      return loan_with_care(word, about, bytes);
    return lend(word, end, bytes);
  }
  // Publishes the loan; returns the message's id. The bytes are the receiver's from here on.
  // `more`: the next one follows at once, and may carry the same time: reading the clock costs half
  // as much as the rest. At most eight do, and none after must_wake(). [any]
  std::uint64_t commit(bool more = false) noexcept {
    CHECK(loaned_ != 0);
    const std::uint64_t position = head_;
    const std::uint64_t end = loan_end_;
    auto* const record = reinterpret_cast<RecordHeader*>(record_);
    record->timestamp_ns = time_of_next(more);
    const auto ahead = static_cast<std::int64_t>(zeroed_to_ - end);
    // Inside a line it is the line that the payload ends in, and ours already.
    if (end % kLine != 0 || (ahead <= 0 && end != foreseen_))
      store_relaxed(publish_word(at(end)), 0);
    store_release(&record->publish, loaned_); // the receiver's next()
    if (skip_word_ != 0) [[unlikely]]
      publish_skip(); // then it is this
    SenderCounters& mine = counters();
    store_relaxed(&mine.head, end);
    store_relaxed(&mine.sent, mine.sent + 1);
    store_relaxed(&mine.bytes, mine.bytes + static_cast<std::uint32_t>(loaned_));
    loaned_ = 0;
    set_head(end);
    if (ahead < kZeroLow || end - tail_ > high_mark_) [[unlikely]]
      look_ahead(end - position);
    return message_id(position);
  }

  // The loan that is open: whether there is one, whether it is durable. [any]
  [[nodiscard]] bool has_loan() const noexcept { return loaned_ != 0; }
  [[nodiscard]] bool loan_is_durable() const noexcept {
    return (PublishWord::unpack(loaned_).flags & kDurable) != 0;
  }
  // Nobody will publish it, nor write into it any more. [any]
  void forget_loan() noexcept;

  // Whether the receiver sleeps and was not yet rung for this sleep; orders itself after commit().
  // When true, ring the data bell. [any]
  [[nodiscard]] bool must_wake() noexcept {
    if (follows_) follows_ = false; // whoever looks may wait afterwards
    store_load_fence();             // the receiver: arm(), fence, ready()
    const std::uint32_t armed = load_relaxed(&memory_.control->armed);
    return armed % 2 != 0 && std::exchange(rung_, armed) != armed;
  }

  // Sleeping until there is space: arm, then try again, then wait for the space bell, then disarm.
  // [any]
  void arm() noexcept;
  void disarm() noexcept;

  // Ends the channel for a reason that the ring itself cannot see (BellStorm). [any]
  void condemn(Breach breach) noexcept {
    breach_ = breach;
    limit_ = head_;
  }
  [[nodiscard]] Breach breach() const noexcept { return breach_; }
  [[nodiscard]] std::uint64_t head() const noexcept { return head_; }
  [[nodiscard]] std::uint64_t capacity() const noexcept { return memory_.map.capacity; }
  // Whether all that was sent has been acknowledged. [any]
  [[nodiscard]] bool drained() const noexcept;
  // Whether it begins anew before the ring's end. [any]
  [[nodiscard]] bool has_laps() const noexcept { return memory_.laps.bytes != 0; }
  // Long laps so far: what lies behind a short one has been written. [any]
  [[nodiscard]] std::uint64_t long_laps() const noexcept { return long_laps_; }
  // The pages of the ring that hold nothing and that no coming message needs at once: one stretch
  // of the double mapping; no bytes of a lossy ring that is not drained(). Giving them back to the
  // system leaves zeros, which is what free lines hold. [any]
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
  // What would fill the ring to the last line is loaned with care, and so is what ends a lap, and
  // all of a lossy ring.
  void set_tail(std::uint64_t position) noexcept {
    tail_ = position;
    const std::uint64_t free_end = position + capacity() - kLine;
    limit_ = static_cast<std::int64_t>(lap_end_ - free_end) < 0 ? lap_end_ : free_end;
    if (loss_ == Loss::Oldest) limit_ = head_;
  }
  [[nodiscard]] bool refresh_tail() noexcept;
  [[nodiscard]] bool make_room(std::uint64_t needed) noexcept;
  void give_up_oldest(std::uint64_t needed) noexcept;
  [[nodiscard]] static bool needs_extension(const Outgoing& about) noexcept {
    return (about.correlation | about.deadline_ns | about.event | about.attachment) != 0;
  }
  // Most messages are, and theirs is the short way.
  [[nodiscard]] static bool is_plain(const Outgoing& about) noexcept {
    return !needs_extension(about) && !about.failed && !about.cancels;
  }
  [[nodiscard]] static std::uint8_t flags_of(const Outgoing& about) noexcept {
    const unsigned flags =
        (static_cast<unsigned>(about.priority) & kPriorityMask) | about.durable * kDurable;
    return static_cast<std::uint8_t>(flags);
  }
  [[nodiscard]] Outcome lend(PublishWord word, std::uint64_t end,
                             std::span<std::byte>& bytes) noexcept {
    loaned_ = word.pack();
    loan_end_ = end;
    bytes = {record_ + word.header_size(), word.size};
    return Outcome::Ok;
  }
  // Whatever keeps a loan from the usual way: an extension, a flag, room to be looked for, an end.
  [[nodiscard, gnu::noinline]] Outcome loan_with_care(PublishWord word, const Outgoing& about,
                                                      std::span<std::byte>& bytes) noexcept;
  void end_lap(std::uint64_t extent) noexcept;
  void skip_rest(std::uint64_t rest) noexcept;
  void take_skip_back() noexcept;
  [[gnu::noinline]] void publish_skip() noexcept;
  [[gnu::noinline]] void look_ahead(std::uint64_t extent) noexcept;
  void zero_ahead() noexcept;
  void foresee(std::uint64_t extent) noexcept;
  [[nodiscard]] std::uint64_t time_of_next(bool more) noexcept {
    if (!more && !follows_) return clock_.now();
    const bool shares = follows_ && shared_time_ != 0;
    follows_ = more;
    if (shares) {
      --shared_time_;
      return time_ns_;
    }
    shared_time_ = kMessagesPerLook - 1;
    return time_ns_ = clock_.now();
  }
  void set_high_mark() noexcept;
  void note_high_water() noexcept;
  [[nodiscard]] std::byte* at(std::uint64_t position) const noexcept {
    return memory_.map.at(position);
  }
  [[nodiscard]] std::uint64_t free_bytes() const noexcept { return capacity() - (head_ - tail_); }
  // By messages: what was skipped is not free, and holds nothing.
  [[nodiscard]] std::uint64_t used_bytes() const noexcept;
  [[nodiscard]] static std::uint64_t* publish_word(std::byte* record) noexcept {
    return &reinterpret_cast<RecordHeader*>(record)->publish;
  }

  static constexpr std::int64_t kZeroLow = 4 * kLine;  // fewer: time for the next stretch
  static constexpr std::uint32_t kMessagesPerLook = 8; // at the clock, of those that follow at once

  SenderMemory memory_;
  std::uint64_t head_ = 0;
  std::uint64_t tail_ = 0;  // as last read: the receiver's own may be ahead of it; of a lossy ring
                            // the oldest record that is whole
  std::uint64_t limit_ = 0; // so far a loan may reach that needs no care
  std::uint64_t lap_end_ = 0; // from here on the flow may begin anew
  std::uint64_t lap_began_ns_ = 0;
  std::uint64_t skip_from_ = 0; // the open loan's skip begins here
  std::uint64_t skip_word_ = 0; // and this publishes it. 0: there is none
  std::uint64_t long_laps_ = 0;
  std::uint32_t long_from_ = 0;     // payload
  std::uint64_t largest_apart_ = 0; // payload
  std::uint64_t loaned_ = 0;        // the publish word of the open loan, 0: none
  std::byte* record_ = nullptr;     // at head
  std::uint64_t loan_end_ = 0;      // where the open loan's record ends
  std::uint64_t zeroed_to_ = 0;     // every line from head up to here begins with 0
  std::uint64_t foreseen_ = 0;      // one more place that holds a 0, or one that is behind us
  std::uint64_t high_mark_ = 0;     // bytes in use from which on the high water is looked at
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

} // namespace mohhos::ipc
