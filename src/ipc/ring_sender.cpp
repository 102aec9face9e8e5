#include "ipc/ring.hpp"
#include "ipc/shared_word.hpp"

#include "base/check.hpp"

namespace mohhos::ipc {
namespace {

constexpr std::uint64_t kZeroAhead = 8 * kLine;

std::uint64_t* publish_word(std::byte* record) {
  return &reinterpret_cast<RecordHeader*>(record)->publish;
}

bool needs_extension(const Outgoing& about) {
  return about.correlation != 0 || about.deadline_ns != 0 || about.event != 0;
}

PublishWord word_for(std::uint64_t position, std::uint32_t size, const Outgoing& about) {
  unsigned flags = static_cast<unsigned>(about.priority) & kPriorityMask;
  if (needs_extension(about)) flags |= kExtended;
  if (about.failed) flags |= kFailed;
  return {size, tag_of(position), static_cast<std::uint8_t>(about.type),
          static_cast<std::uint8_t>(flags)};
}

} // namespace

RingSender::RingSender(const SenderMemory& memory, std::uint32_t generation) noexcept
    : memory_(memory), generation_(generation) {
  CHECK(is_ring_size(memory.capacity));
  tail_ = load_acquire(&memory_.control->tail); // the receiver's release()
  head_ = tail_;
  if (tail_ % kLine != 0) {
    breach_ = Breach::TailUnaligned;
    return;
  }
  for (;;) {
    const PublishWord word = PublishWord::unpack(load_acquire(publish_word(at(head_))));
    const std::uint64_t room = memory_.capacity - kLine - (head_ - tail_);
    if (word.tag != tag_of(head_) || word.extent() > room) break;
    head_ += word.extent();
  }
  store_relaxed(publish_word(at(head_)), 0);
  // A sleep of the process before us is over.
  waiting_ = (load_relaxed(&memory_.header->waiting) + 1) & ~1U;
  store_relaxed(&memory_.header->waiting, waiting_);
}

bool RingSender::refresh_tail() noexcept {
  const std::uint64_t tail = load_acquire(&memory_.control->tail); // the receiver's release()
  const std::uint64_t step = tail - tail_;
  if (tail % kLine != 0)
    breach_ = Breach::TailUnaligned;
  else if (step > head_ - tail_)
    breach_ = static_cast<std::int64_t>(step) < 0 ? Breach::TailBackwards : Breach::TailBeyondHead;
  else
    tail_ = tail;
  return breach_ == Breach::None;
}

RingSender::Outcome RingSender::loan(std::uint32_t size, const Outgoing& about,
                                     std::span<std::byte>& bytes) noexcept {
  if (breach_ != Breach::None) return Outcome::Broken;
  if (loaned_ != 0) zeroed_ = kLine; // a loan that was filled and forgotten lies over the zeros
  loaned_ = 0;
  if (size > largest_payload(memory_.capacity)) return Outcome::TooLarge;
  const PublishWord word = word_for(head_, size, about);
  const std::uint64_t needed = word.extent() + kLine; // and the 0 behind it
  if (needed > memory_.capacity - (head_ - tail_)) {
    if (!refresh_tail()) return Outcome::Broken;
    if (needed > memory_.capacity - (head_ - tail_)) return Outcome::Full;
  }
  std::byte* const record = at(head_);
  if ((word.flags & kExtended) != 0)
    *reinterpret_cast<RecordExtension*>(record + sizeof(RecordHeader)) = {
        .correlation = about.correlation,
        .deadline_ns = about.deadline_ns,
        .generation = generation_,
        .event = about.event,
    };
  loaned_ = word.pack();
  bytes = {record + word.header_size(), size};
  return Outcome::Ok;
}

std::uint64_t RingSender::commit() noexcept {
  CHECK(loaned_ != 0);
  const std::uint64_t position = head_;
  const std::uint64_t extent = PublishWord::unpack(loaned_).extent();
  std::byte* const record = at(position);
  reinterpret_cast<RecordHeader*>(record)->timestamp_ns = monotonic_ns();
  head_ += extent;
  if (extent < zeroed_) {
    zeroed_ -= extent;
  } else {
    store_relaxed(publish_word(at(head_)), 0);
    zeroed_ = kLine;
  }
  store_release(publish_word(record), loaned_); // the receiver's next()
  loaned_ = 0;
  zero_ahead();
  return message_id(position);
}

// Off the critical path, and away from the line that the receiver polls (with its neighbours, which
// its prefetcher takes along): stores become visible in order, so a slow 0 before a publication
// would hold it up. Measured, 64 B of payload one way: 505 ns with the 0 written at each commit,
// 241 ns with this (a plain head/tail ring beside it: 268 ns).
void RingSender::zero_ahead() noexcept {
  const std::uint64_t free = memory_.capacity - (head_ - tail_);
  for (; zeroed_ < kZeroAhead && zeroed_ < free; zeroed_ += kLine)
    store_relaxed(publish_word(at(head_ + zeroed_)), 0);
}

bool RingSender::must_wake() noexcept {
  store_load_fence(); // the receiver: arm(), fence, ready()
  const std::uint32_t armed = load_relaxed(&memory_.control->armed);
  if (armed % 2 == 0 || armed == rung_) return false;
  rung_ = armed;
  return true;
}

void RingSender::arm() noexcept {
  store_relaxed(&memory_.header->waiting, ++waiting_);
  store_load_fence(); // the receiver: release(), fence, load of waiting in must_wake()
}

void RingSender::disarm() noexcept {
  store_relaxed(&memory_.header->waiting, ++waiting_);
}

} // namespace mohhos::ipc
