#include "ipc/ring_receiver.hpp"

namespace mohhos::ipc {
namespace {

// Each field is loaded once; the sender may be changing them.
void copy_extension(const std::byte* record, MessageInfo& info) {
  const auto* extension = reinterpret_cast<const RecordExtension*>(record + sizeof(RecordHeader));
  info.correlation = load_relaxed(&extension->correlation);
  info.deadline_ns = load_relaxed(&extension->deadline_ns);
  info.generation = load_relaxed(&extension->generation);
  info.event = load_relaxed(&extension->event);
  info.attachment = load_relaxed(&extension->attachment);
}

} // namespace

RingReceiver::RingReceiver(const ReceiverMemory& memory) noexcept : memory_(memory) {
  CHECK(is_ring_size(capacity()));
  unusual_ |= PublishWord{.size = memory.map.long_bits()}.pack();
  told_ = load_relaxed(&memory_.control->tail); // our own, or that of the process before us
  if (told_ % kGrain != 0) {
    told_ -= told_ % kGrain;
    breach_ = Breach::TailUnaligned;
  }
  tail_ = first_unburied(told_, load_relaxed(&memory_.control->buried), capacity());
  if (tail_ != told_) store_release(&memory_.control->tail, tail_); // as release() would have
  set_read(tail_);
  again_ = tail_;
  const std::uint64_t begun = load_relaxed(&memory_.control->begun);
  if (begun - tail_ <= capacity()) again_ = begun;
  set_reach();
  taken_ = load_relaxed(&counters().acknowledged);
  // A sleep of the process before us is over.
  armed_ = (load_relaxed(&memory_.control->armed) + 1) & ~1U;
  store_relaxed(&memory_.control->armed, armed_);
}

Breach RingReceiver::judge(PublishWord word) const noexcept {
  if (word.tag != tag_of(read_)) return Breach::WrongTag;
  if (word.type >= kMessageTypeCount) return Breach::WrongType;
  if ((word.flags & ~kKnownFlags) != 0 && !word.skips(read_, capacity())) return Breach::WrongFlags;
  if (word.size > largest_payload(capacity())) return Breach::TooLong;
  if (word.end(read_) - read_ > capacity() - kGrain - (read_ - tail_)) return Breach::Overrun;
  return Breach::None;
}

void RingReceiver::describe_all(const std::byte* record, PublishWord word,
                                View& view) const noexcept {
  describe(record, word, view);
  view.info.failed = (word.flags & kFailed) != 0;
  view.info.cancels = (word.flags & kCancels) != 0;
  if ((word.flags & kExtended) == 0) return;
  copy_extension(record, view.info);
  view.payload = {view.payload.data() + sizeof(RecordExtension), word.size};
}

RingReceiver::Outcome RingReceiver::next_unusual(std::uint64_t raw, View& view) noexcept {
  if (breach_ != Breach::None) return Outcome::Broken;
  if (raw == 0) return Outcome::Empty;
  const PublishWord word = PublishWord::unpack(raw);
  if (const Breach breach = judge(word); breach != Breach::None) {
    condemn(breach);
    return Outcome::Broken;
  }
  if ((word.flags & kSkip) != 0) {
    skip(word.end(read_));
    return next(view); // at the ring's beginning, where no skip can be
  }
  describe_all(memory_.map.record(read_, word.size), word, view);
  if (comes_again()) {
    view.info.redelivered = true;
    store_relaxed(&counters().redelivered, counters().redelivered + 1);
  }
  take(word, word.end(read_), view);
  set_reach();
  return Outcome::Message;
}

// Nobody holds anything of it, so it is released as soon as what lies before it is.
void RingReceiver::skip(std::uint64_t end) noexcept {
  const bool released = all_released();
  skip_begin_ = read_;
  skip_end_ = end;
  set_read(end);
  if (released) {
    pass_skip();
    store_release(&memory_.control->tail, end); // as release() does
  }
  set_reach();
}

bool RingReceiver::ready() const noexcept {
  if (breach_ != Breach::None) return false;
  const std::byte* const record = record_;
  const std::uint64_t raw = load_acquire(&header_at(record)->publish);
  // Its second line comes while the way to next() is walked.
  if (read_ % kLine + PublishWord::unpack(raw).length() > kLine) __builtin_prefetch(record + kLine);
  return raw != 0;
}

void RingReceiver::note_latency(std::uint64_t ns) noexcept {
  std::uint64_t& bucket = memory_.control->latency[latency_bucket(ns)];
  store_relaxed(&bucket, bucket + 1);
}

bool RingReceiver::sender_waits() noexcept {
  told_ = tail_;
  store_load_fence(); // the sender: arm(), fence, refresh_tail()
  const std::uint32_t waiting = load_relaxed(&memory_.header->waiting);
  if (waiting % 2 == 0 || waiting == rung_) return false;
  rung_ = waiting;
  store_relaxed(&counters().space_bells, counters().space_bells + 1);
  return true;
}

void RingReceiver::arm() noexcept {
  store_relaxed(&memory_.control->armed, ++armed_);
  store_relaxed(&counters().sleeps, counters().sleeps + 1);
}

void RingReceiver::disarm() noexcept {
  store_relaxed(&memory_.control->armed, ++armed_);
}

} // namespace mohhos::ipc
