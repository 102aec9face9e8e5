// The lossy ring's two halves: a sender that gives up its oldest records instead of waiting, and a
// receiver that finds out whether what it copied was still whole.
#include "ipc/ring.hpp"
#include "ipc/shared_word.hpp"

namespace mohhos::ipc {
namespace {

constexpr int kTries = 8; // a sender that overwrites without end must not hold its receiver

bool is_ahead(std::uint64_t position, std::uint64_t of) {
  return static_cast<std::int64_t>(position - of) > 0;
}

// The sender may be writing here: whole words, each loaded once. [at least `size` bytes, 8-aligned]
void copy_changing(const std::byte* from, std::vector<std::byte>& to, std::size_t size) {
  const std::size_t words = (size + 7) / 8;
  to.resize(words * 8);
  const auto* source = reinterpret_cast<const std::uint64_t*>(from);
  auto* target = reinterpret_cast<std::uint64_t*>(to.data());
  for (std::size_t i = 0; i < words; ++i) target[i] = load_relaxed(&source[i]);
}

} // namespace

// The records are our own, so their lengths can be believed. They are given up first and
// overwritten afterwards: the fence keeps that order.
void RingSender::give_up_oldest(std::uint64_t needed) noexcept {
  while (needed > free_bytes()) {
    const auto* record = reinterpret_cast<const RecordHeader*>(at(tail_));
    tail_ = PublishWord::unpack(load_relaxed(&record->publish)).end(tail_);
  }
  store_relaxed(&memory_.header->oldest, tail_);
  store_store_fence(); // the receiver's skip_overwritten()
}

bool RingReceiver::overwritten() const noexcept {
  return breach_ == Breach::None && is_ahead(load_relaxed(&memory_.header->oldest), read_);
}

bool RingReceiver::skip_overwritten() noexcept {
  const std::uint64_t oldest = load_acquire(&memory_.header->oldest);
  if (oldest % kGrain != 0) {
    breach_ = Breach::OldestUnaligned;
    return true;
  }
  if (!is_ahead(oldest, read_)) return false;
  tail_ = oldest;
  set_read(oldest);
  return true;
}

// Events are numbered from 1, so what lies before this one and was not taken was missed. Counted
// from the beginning each time, by one store: a receiver that dies here has not counted half of it,
// and its successor does not count it twice. (What it died over, acknowledged and not handled, is
// missed.)
void RingReceiver::count_missed(std::uint64_t number) noexcept {
  ReceiverCounters& mine = counters();
  const std::uint64_t missed = number - 1 - taken_;
  if (is_ahead(missed, mine.dropped)) store_relaxed(&mine.dropped, missed);
  store_relaxed(&mine.next_event, number + 1);
}

// Its sender goes round the whole ring.
Breach RingReceiver::judge_lossy(PublishWord word) const noexcept {
  return (word.flags & kSkip) != 0 ? Breach::WrongFlags : judge(word);
}

RingReceiver::Outcome RingReceiver::next_lossy(View& view, std::vector<std::byte>& copy) {
  for (int i = 0; i < kTries && breach_ == Breach::None; ++i) {
    (void)skip_overwritten();
    if (breach_ != Breach::None) break;
    const std::byte* const record = memory_.map.whole_at(read_);
    const std::uint64_t raw = load_acquire(&reinterpret_cast<const RecordHeader*>(record)->publish);
    const PublishWord word = PublishWord::unpack(raw);
    const Breach breach = raw == 0 ? Breach::None : judge_lossy(word);
    if (raw != 0 && breach == Breach::None) copy_changing(record, copy, word.length());
    load_load_fence();                // the sender's give_up_oldest()
    if (skip_overwritten()) continue; // nothing of what was seen is true any more
    if (raw == 0) return Outcome::Empty;
    breach_ = breach;
    if (breach_ != Breach::None) break;
    describe_all(copy.data(), word, view);
    count_missed(view.info.correlation);
    view.info.correlation = 0; // was the event's number
    set_read(word.end(read_));
    view.end = read_;
    view.number = ++taken_;
    return Outcome::Message;
  }
  return breach_ == Breach::None ? Outcome::Empty : Outcome::Broken;
}

} // namespace mohhos::ipc
