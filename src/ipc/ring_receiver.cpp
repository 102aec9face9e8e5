#include "ipc/ring.hpp"

#include <array>

namespace mohhos::ipc {
namespace {

const RecordHeader* header_at(const std::byte* record) {
  return reinterpret_cast<const RecordHeader*>(record);
}

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
  CHECK(is_ring_size(memory.capacity));
  told_ = load_relaxed(&memory_.control->tail); // our own, or that of the process before us
  if (told_ % kGrain != 0) breach_ = Breach::TailUnaligned;
  tail_ = first_unburied(told_, load_relaxed(&memory_.control->buried), memory_.capacity);
  if (tail_ != told_) store_release(&memory_.control->tail, tail_); // as release() would have
  read_ = again_ = tail_;
  const std::uint64_t begun = load_relaxed(&memory_.control->begun);
  if (begun - tail_ <= memory_.capacity) again_ = begun;
  taken_ = load_relaxed(&counters().acknowledged);
  // A sleep of the process before us is over.
  armed_ = (load_relaxed(&memory_.control->armed) + 1) & ~1U;
  store_relaxed(&memory_.control->armed, armed_);
}

Breach RingReceiver::judge(PublishWord word) const noexcept {
  if (word.tag != tag_of(read_)) return Breach::WrongTag;
  if (word.type >= kMessageTypeCount) return Breach::WrongType;
  if ((word.flags & ~kKnownFlags) != 0) return Breach::WrongFlags;
  if (word.size > largest_payload(memory_.capacity)) return Breach::TooLong;
  if (word.end(read_) - read_ > memory_.capacity - kGrain - (read_ - tail_)) return Breach::Overrun;
  return Breach::None;
}

void RingReceiver::describe(const std::byte* record, PublishWord word, View& view) const noexcept {
  // By a branch and not by the word's arithmetic: so the processor fetches the payload's lines
  // while the word is still on its way (64 B on far cores: 345 ns one way, and 405).
  const std::byte* payload = record + sizeof(RecordHeader);
  MessageInfo& info = view.info;
  info = {};
  info.id = message_id(read_);
  info.type = static_cast<MessageType>(word.type);
  info.priority = static_cast<Priority>(word.flags & kPriorityMask);
  info.durable = (word.flags & kDurable) != 0;
  info.size = word.size;
  info.timestamp_ns = load_relaxed(&header_at(record)->timestamp_ns);
  if ((word.flags & (kFailed | kCancels | kExtended)) != 0) [[unlikely]] {
    info.failed = (word.flags & kFailed) != 0;
    info.cancels = (word.flags & kCancels) != 0;
    if ((word.flags & kExtended) != 0) {
      copy_extension(record, info);
      payload += sizeof(RecordExtension);
    }
  }
  view.payload = {payload, word.size};
}

// flatten: each message comes this way, and the next line of the caller is the answer to it.
[[gnu::flatten]] RingReceiver::Outcome RingReceiver::next(View& view) noexcept {
  if (breach_ != Breach::None) return Outcome::Broken;
  const std::byte* const record = at(read_);
  const std::uint64_t raw = load_acquire(&header_at(record)->publish); // the sender's commit()
  if (raw == 0) return Outcome::Empty;
  const PublishWord word = PublishWord::unpack(raw);
  if (const Breach breach = judge(word); breach != Breach::None) [[unlikely]] {
    breach_ = breach;
    return Outcome::Broken;
  }
  describe(record, word, view);
  if (static_cast<std::int64_t>(again_ - read_) > 0) [[unlikely]] {
    view.info.redelivered = true;
    store_relaxed(&counters().redelivered, counters().redelivered + 1);
  }
  read_ = word.end(read_);
  // In a flow the next one's line comes while this one is dealt with: a quarter more messages per
  // second. One that lies apart is not there yet, and its sender has the line.
  if ((word.flags & kApart) == 0) __builtin_prefetch(at(read_));
  view.end = read_;
  view.number = ++taken_;
  // Before anybody acts on the message: if we die over it, our successor knows.
  store_release(&memory_.control->begun, read_);
  return Outcome::Message;
}

bool RingReceiver::ready() const noexcept {
  if (breach_ != Breach::None) return false;
  const std::byte* const record = at(read_);
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

const char* breach_text(Breach breach) noexcept {
  static constexpr std::array kTexts = {
      "no rule was broken",
      "the receiver's tail is not a multiple of 16",
      "the receiver's tail went back",
      "the receiver's tail passed what was sent",
      "a record carries the tag of another place",
      "a record has a type that does not exist",
      "a record has a flag that does not exist",
      "a record is longer than the ring",
      "a record overlaps one that is not released",
      "something else than a response came on a channel for responses",
      "the bell rings again and again without a message",
      "a lossy ring's oldest record is not at a multiple of 16",
  };
  static_assert(kTexts.size() == static_cast<std::size_t>(Breach::OldestUnaligned) + 1);
  const auto index = static_cast<std::size_t>(breach);
  return index < kTexts.size() ? kTexts[index] : "an unknown rule";
}

} // namespace mohhos::ipc
