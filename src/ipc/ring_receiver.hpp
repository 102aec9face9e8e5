// The ring's receiving side. The usual next() is here, to be inlined: one comparison tells a word
// that is all as it should be, and everything else is judged out of line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/check.hpp"
#include "ipc/breach.hpp"
#include "ipc/layout.hpp"
#include "ipc/message.hpp"
#include "ipc/ring_map.hpp"
#include "ipc/shared_word.hpp"

namespace mohhos::ipc {

// The receiver's view of the memory.
struct ReceiverMemory {
  const DataHeader* header = nullptr;
  RingMap<const std::byte> map = {};
  Control* control = nullptr;
};

static_assert(kMessageTypeCount == 8, "kUnusual says which bits of a type exist");

class RingReceiver {
public:
  // Goes on at the tail that the receiver before left: what it had not released comes again, and
  // what it had begun is flagged as redelivered. [any]
  explicit RingReceiver(const ReceiverMemory& memory) noexcept;

  enum class Outcome : std::uint8_t { Message, Empty, Broken };

  // The next message, if there is one. Several may be out before the first is released. [any]
  [[nodiscard]] Outcome next(View& view) noexcept {
    const std::byte* const record = record_;
    const std::uint64_t raw = load_acquire(&header_at(record)->publish); // the sender's commit()
    if (((raw ^ expected_) & unusual_) != 0) [[unlikely]]
      return next_unusual(raw, view);
    const PublishWord word = PublishWord::unpack(raw & ~kUnusualFlags);
    const std::uint64_t end = word.end(read_);
    if (end - tail_ > reach_) [[unlikely]]
      return next_unusual(raw, view);
    describe(record, word, view);
    take(word, end, view);
    return Outcome::Message;
  }
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
    if (end == skip_begin_) [[unlikely]]
      pass_skip();
    store_release(&memory_.control->tail, tail_); // the sender's refresh_tail(): it may write there
    store_relaxed(&counters().acknowledged, number);
  }
  // Whether the sender sleeps for space and was not yet rung for this sleep. When true, ring the
  // space bell. Ask after release(): it looks when the tail went on by an eighth of the ring (a
  // waiting sender is woken for a stretch of space, not for a line); and with `idle`, when next()
  // said Empty. [any]
  [[nodiscard]] bool must_wake(bool idle) noexcept {
    return (idle ? tail_ != told_ : tail_ - told_ >= capacity() / 8) && sender_waits();
  }

  // Sleeping until there is a message: arm, then look once more, then wait for the data bell, then
  // disarm. The caller puts one seq_cst fence between arming all its rings and looking. [any]
  void arm() noexcept;
  void disarm() noexcept;

  // Ends the channel for a reason that the ring itself cannot see (NotAReply, BellStorm). [any]
  void condemn(Breach breach) noexcept {
    breach_ = breach;
    reach_ = 0;
  }
  [[nodiscard]] Breach breach() const noexcept { return breach_; }
  [[nodiscard]] std::uint64_t tail() const noexcept { return tail_; }
  [[nodiscard]] std::uint64_t capacity() const noexcept { return memory_.map.capacity; }
  // Of records, so far: the tail has been moved by what was skipped, too. [any]
  [[nodiscard]] std::uint64_t released_bytes() const noexcept { return tail_ - skipped_; }
  // Whether every message that next() gave has been released. [any]
  [[nodiscard]] bool all_released() const noexcept { return read_ == tail_; }

  // Counts a message's way through the ring. [any]
  void note_latency(std::uint64_t ns) noexcept;
  [[nodiscard]] ReceiverCounters& counters() noexcept { return memory_.control->counters; }

private:
  [[nodiscard]] static const RecordHeader* header_at(const std::byte* record) noexcept {
    return reinterpret_cast<const RecordHeader*>(record);
  }
  [[nodiscard]] bool sender_waits() noexcept;
  [[nodiscard]] Breach judge(PublishWord word) const noexcept;
  [[nodiscard]] Breach judge_lossy(PublishWord word) const noexcept;
  // Nothing, a rule broken, an extension or a flag, a message that comes again, one that is long or
  // fills the ring to the last line, a skip. `raw`: the publish word, which is not loaded again.
  [[nodiscard, gnu::noinline]] Outcome next_unusual(std::uint64_t raw, View& view) noexcept;
  // What a usual message says.
  void describe(const std::byte* record, PublishWord word, View& view) const noexcept {
    MessageInfo& info = view.info;
    info = {};
    info.id = message_id(read_);
    info.type = static_cast<MessageType>(word.type);
    info.priority = static_cast<Priority>(word.flags & kPriorityMask);
    info.durable = (word.flags & kDurable) != 0;
    info.size = word.size;
    info.timestamp_ns = load_relaxed(&header_at(record)->timestamp_ns);
    // Not where the word says: so the processor fetches the payload's lines while the word is still
    // on its way (64 B on far cores: 345 ns one way, and 405).
    view.payload = {record + sizeof(RecordHeader), word.size};
  }
  // … with what it may have besides.
  void describe_all(const std::byte* record, PublishWord word, View& view) const noexcept;
  // The record at read is a skip; what comes behind it is next.
  void skip(std::uint64_t end) noexcept;
  // The tail lies where the last skip begins.
  void pass_skip() noexcept {
    skipped_ += skip_end_ - skip_begin_;
    tail_ = skip_end_;
  }
  void set_read(std::uint64_t position) noexcept {
    read_ = position;
    record_ = at(position);
    expected_ = PublishWord{.tag = tag_of(position)}.pack();
  }
  // The process before us had begun what we would read next.
  [[nodiscard]] bool comes_again() const noexcept {
    return static_cast<std::int64_t>(again_ - read_) > 0;
  }
  void set_reach() noexcept {
    reach_ = breach_ != Breach::None || comes_again() ? 0 : capacity() - kLine;
  }
  // Hands it out; the next one begins at `end`.
  void take(PublishWord word, std::uint64_t end, View& view) noexcept {
    set_read(end);
    // In a flow the next one's line comes while this one is dealt with: a quarter more messages per
    // second. One that lies apart is not there yet, and its sender has the line.
    if ((word.flags & kApart) == 0) __builtin_prefetch(record_);
    view.end = end;
    view.number = ++taken_;
    // Before anybody acts on the message: if we die over it, our successor knows.
    store_release(&memory_.control->begun, end);
  }
  [[nodiscard]] bool skip_overwritten() noexcept;
  void count_missed(std::uint64_t number) noexcept;
  [[nodiscard]] const std::byte* at(std::uint64_t position) const noexcept {
    return memory_.map.at(position);
  }

  ReceiverMemory memory_;
  std::uint64_t read_ = 0;            // next record to look at
  const std::byte* record_ = nullptr; // at read
  std::uint64_t expected_ = 0;        // its tag, where a publish word has it
  std::uint64_t unusual_ = kUnusual;  // and the bits that are to be looked at
  std::uint64_t reach_ = 0; // so far behind the tail may the end of a usual record lie; 0: none is
  std::uint64_t tail_ = 0;  // released up to here
  // The last skip: released with the record before it. Where none is, no record ends.
  std::uint64_t skip_begin_ = 1;
  std::uint64_t skip_end_ = 0;
  std::uint64_t skipped_ = 0; // bytes, by all that the tail has passed
  std::uint64_t told_ = 0;    // tail at the last look at the sender's waiting word
  std::uint64_t again_ = 0;   // the receiver before us had begun what lies before this
  std::uint64_t taken_ = 0;   // messages
  std::uint32_t armed_ = 0;   // our word in Control
  std::uint32_t rung_ = 0;    // the sender's sleep that we rang for
  Breach breach_ = Breach::None;
};

} // namespace mohhos::ipc
