#include "ipc/remains.hpp"

#include <algorithm>
#include <cstring>

#include <unistd.h>

#include "ipc/layout.hpp"
#include "ipc/ring.hpp"

namespace mohhos::ipc {
namespace {

Result<> read_exactly(int fd, std::span<std::byte> to, std::uint64_t offset) {
  std::size_t done = 0;
  while (done < to.size()) {
    const ssize_t got =
        ::pread(fd, to.data() + done, to.size() - done, static_cast<off_t>(offset + done));
    if (got < 0) return fail_errno("reading a ring");
    if (got == 0) return fail(Code::Malformed, "a ring's memory ends early");
    done += static_cast<std::size_t>(got);
  }
  return {};
}

template <class T>
T take(std::span<const std::byte> bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

Result<PublishWord> judge(std::uint64_t raw, std::uint64_t position, std::uint64_t capacity) {
  const PublishWord word = PublishWord::unpack(raw);
  Breach breach = Breach::None;
  if (word.tag != tag_of(position))
    breach = Breach::WrongTag;
  else if (word.type >= kMessageTypeCount)
    breach = Breach::WrongType;
  else if ((word.flags & ~kKnownFlags) != 0 && !word.skips(position, capacity))
    breach = Breach::WrongFlags;
  else if (word.size > largest_payload(capacity))
    breach = Breach::TooLong;
  else if (word.end(position) - position > capacity - kGrain)
    breach = Breach::Overrun;
  if (breach != Breach::None) return fail(Code::Malformed, "{}", breach_text(breach));
  return word;
}

} // namespace

Result<std::optional<Remnant>> parse_record(std::span<const std::byte> bytes,
                                            std::uint64_t position, std::uint64_t capacity) {
  if (bytes.size() < sizeof(RecordHeader))
    return fail(Code::Malformed, "a record of {} bytes", bytes.size());
  const auto header = take<RecordHeader>(bytes, 0);
  if (header.publish == 0) return std::nullopt;
  TRY(const PublishWord word, judge(header.publish, position, capacity));
  if ((word.flags & kSkip) != 0) return std::nullopt;
  const std::size_t begin = word.header_size();
  if (bytes.size() < begin || bytes.size() - begin < word.size)
    return fail(Code::Malformed, "a record that grew while it was read");
  Remnant remnant;
  remnant.info = {.id = message_id(position),
                  .type = static_cast<MessageType>(word.type),
                  .priority = static_cast<Priority>(word.flags & kPriorityMask),
                  .failed = (word.flags & kFailed) != 0,
                  .cancels = (word.flags & kCancels) != 0,
                  .durable = (word.flags & kDurable) != 0,
                  .size = word.size,
                  .timestamp_ns = header.timestamp_ns};
  if ((word.flags & kExtended) != 0) {
    const auto extension = take<RecordExtension>(bytes, sizeof(RecordHeader));
    remnant.info.correlation = extension.correlation;
    remnant.info.deadline_ns = extension.deadline_ns;
    remnant.info.generation = extension.generation;
    remnant.info.event = extension.event;
    remnant.info.attachment = extension.attachment;
  }
  const auto payload = bytes.subspan(begin, word.size);
  remnant.payload.assign(payload.begin(), payload.end());
  remnant.end = word.end(position);
  return remnant;
}

Result<Progress> judge_progress(std::uint64_t tail, std::uint64_t begun, std::uint64_t buried,
                                std::uint64_t capacity) {
  if (tail % kGrain != 0) return fail(Code::Malformed, "{}", breach_text(Breach::TailUnaligned));
  tail = first_unburied(tail, buried, capacity);
  if (begun % kGrain != 0 || begun - tail > capacity) begun = tail; // nothing that can be believed
  return Progress{tail, begun};
}

std::optional<Suspect> suspect_after(const Progress& progress, ChannelId channel,
                                     const std::vector<Suspect>& before) {
  if (progress.begun == progress.tail) return std::nullopt;
  Suspect suspect{.channel = channel.value, .position = progress.tail, .deaths = 1};
  const auto known = std::ranges::find_if(before, [&](const Suspect& one) {
    return one.channel == suspect.channel && one.position == suspect.position;
  });
  if (known != before.end() && known->deaths < UINT32_MAX) suspect.deaths = known->deaths + 1;
  return suspect;
}

Result<Progress> Remains::progress() const {
  Control control;
  TRY(read_exactly(control_, std::as_writable_bytes(std::span(&control, 1)), 0));
  if (control.version != kRingVersion)
    return fail(Code::Incompatible, "the ring is of version {}, not {}", control.version,
                kRingVersion);
  return judge_progress(control.tail, control.begun, control.buried, capacity_);
}

Result<std::optional<PublishWord>> Remains::word_at(std::uint64_t position) const {
  const std::uint64_t offset = position & (capacity_ - 1);
  std::uint64_t raw = 0;
  TRY(read_exactly(data_, std::as_writable_bytes(std::span(&raw, 1)), kHeaderPage + offset));
  if (raw == 0) return std::nullopt;
  return judge(raw, position, capacity_);
}

// The record may cross the ring's end; here it is mapped once only.
Result<std::optional<Remnant>> Remains::at(std::uint64_t position, std::uint64_t most) const {
  TRY(const auto word, word_at(position));
  if (!word) return std::nullopt;
  if (word->size > most)
    return fail(Code::Malformed, "a record of {} bytes, and it had {} before", word->size, most);
  const std::uint64_t offset = position & (capacity_ - 1);
  std::vector<std::byte> bytes(word->length());
  const std::uint64_t first = std::min<std::uint64_t>(bytes.size(), capacity_ - offset);
  TRY(read_exactly(data_, std::span(bytes).first(first), kHeaderPage + offset));
  TRY(read_exactly(data_, std::span(bytes).subspan(first), kHeaderPage));
  return parse_record(bytes, position, capacity_);
}

Result<> Remains::bury_before(std::uint64_t position) const {
  const std::uint64_t mark = position | kBuried;
  const auto written =
      ::pwrite(control_, &mark, sizeof mark, static_cast<off_t>(offsetof(Control, buried)));
  if (written != static_cast<ssize_t>(sizeof mark)) return fail_errno("writing a ring's control");
  return {};
}

} // namespace mohhos::ipc
