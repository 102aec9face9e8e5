#include "ipc/recording.hpp"

#include <algorithm>
#include <cstring>

#include "base/bytes.hpp"
#include "base/crc32c.hpp"
#include "ipc/link.hpp"
#include "ipc/message.hpp"

namespace mohhos::ipc {
namespace {

constexpr std::size_t kStep = 1 << 20; // a claimed size costs no memory before the bytes are there

template <class T>
T value_in(std::span<const std::byte> bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

std::uint32_t check_of(const EntryHead& head, std::span<const std::byte> first,
                       std::span<const std::byte> second = {}) {
  const auto covered = bytes_of(head).subspan(sizeof head.check);
  return crc32c(second, crc32c(first, crc32c(covered)));
}

std::uint32_t check_of(const RecordingHead& head, std::string_view sender,
                       std::string_view receiver) {
  const auto covered = bytes_of(head).subspan(offsetof(RecordingHead, begun_us));
  return crc32c(std::as_bytes(std::span(receiver)),
                crc32c(std::as_bytes(std::span(sender)), crc32c(covered)));
}

void put_entry(std::vector<std::byte>& bytes, EntryKind kind, std::span<const std::byte> first,
               std::span<const std::byte> second = {}) {
  EntryHead head{.kind = kind, .size = first.size() + second.size()};
  head.check = check_of(head, first, second);
  append(bytes, head);
  append(bytes, first);
  append(bytes, second);
}

} // namespace

// --- writing ---

void put_recording_head(std::vector<std::byte>& bytes, const Recording& recording) {
  const auto sender = std::string_view(recording.sender).substr(0, kLongestEndName);
  const auto receiver = std::string_view(recording.receiver).substr(0, kLongestEndName);
  RecordingHead head{.begun_us = recording.begun_us,
                     .begun_ns = recording.begun_ns,
                     .sender_size = static_cast<std::uint32_t>(sender.size()),
                     .receiver_size = static_cast<std::uint32_t>(receiver.size())};
  head.check = check_of(head, sender, receiver);
  append(bytes, head);
  append(bytes, std::as_bytes(std::span(sender)));
  append(bytes, std::as_bytes(std::span(receiver)));
}

void put_recorded_message(std::vector<std::byte>& bytes, TapHeader header,
                          std::span<const std::byte> payload) {
  header.missed = 0;
  put_entry(bytes, EntryKind::Message, bytes_of(header), payload);
}

void put_recorded_gap(std::vector<std::byte>& bytes, const RecordedGap& gap) {
  put_entry(bytes, EntryKind::Gap, bytes_of(gap));
}

void put_recorded_end(std::vector<std::byte>& bytes, const RecordedEnd& end) {
  put_entry(bytes, EntryKind::End, bytes_of(end));
}

Result<> check_tap_header(const TapHeader& header) {
  if (header.type >= kMessageTypeCount)
    return fail(Code::Malformed, "has type {}, which does not exist", header.type);
  if (header.priority > static_cast<std::uint32_t>(Priority::Critical))
    return fail(Code::Malformed, "has priority {}, which does not exist", header.priority);
  if (header.lane >= static_cast<std::uint32_t>(Lane::Tap))
    return fail(Code::Malformed, "came on lane {}, which cannot be recorded", header.lane);
  if ((header.flags & ~(kTapFailed | kTapCancels | kTapRedelivered | kTapDurable)) != 0)
    return fail(Code::Malformed, "has flags {:#x}, which do not exist", header.flags);
  return {};
}

// --- reading ---

Result<RecordingReader> RecordingReader::open(ReadBytes read) {
  RecordingReader reader(std::move(read));
  TRY(reader.read_head());
  return reader;
}

// As much as there is: less only at the end of the file.
Result<std::size_t> RecordingReader::fill(std::span<std::byte> bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    TRY(const std::size_t got, read_(bytes.subspan(done)));
    if (got == 0) break;
    done += got;
  }
  offset_ += done;
  return done;
}

Result<> RecordingReader::read_head() {
  RecordingHead head;
  TRY(const std::size_t got, fill(std::as_writable_bytes(std::span(&head, 1))));
  if (got < sizeof head.magic || head.magic != kRecordingMagic)
    return fail(Code::Malformed, "this is no recording");
  if (got < offsetof(RecordingHead, check))
    return fail(Code::Malformed, "the head of the recording is cut");
  if (head.version != kRecordingVersion)
    return fail(Code::Malformed, "a recording of version {}; this program reads version {}",
                head.version, kRecordingVersion);
  if (got < sizeof head) return fail(Code::Malformed, "the head of the recording is cut");
  if (head.sender_size > kLongestEndName || head.receiver_size > kLongestEndName)
    return fail(Code::Malformed, "the head of the recording is damaged: a name of {} bytes",
                std::max(head.sender_size, head.receiver_size));
  recording_ = {.sender = std::string(head.sender_size, '\0'),
                .receiver = std::string(head.receiver_size, '\0'),
                .begun_us = head.begun_us,
                .begun_ns = head.begun_ns};
  for (std::string* const name : {&recording_.sender, &recording_.receiver}) {
    TRY(const std::size_t read, fill(std::as_writable_bytes(std::span(*name))));
    if (read < name->size()) return fail(Code::Malformed, "the head of the recording is cut");
  }
  if (check_of(head, recording_.sender, recording_.receiver) != head.check)
    return fail(Code::Malformed,
                "the head of the recording is damaged: its checksum does not match");
  return {};
}

Result<std::vector<std::byte>> RecordingReader::read_body(std::uint64_t size) {
  std::vector<std::byte> body;
  while (body.size() < size) {
    const std::size_t before = body.size();
    const std::size_t step = std::min<std::uint64_t>(size - before, std::max(kStep, before));
    body.resize(before + step);
    TRY(const std::size_t got, fill(std::span(body).subspan(before)));
    if (got < step)
      return damaged("is cut: the file ends {} bytes into its {}", before + got, size);
  }
  return body;
}

Result<std::optional<RecordedEntry>> RecordingReader::next() {
  if (ended_) return std::nullopt;
  begin_ = offset_;
  ++number_;
  EntryHead head;
  TRY(const std::size_t got, fill(std::as_writable_bytes(std::span(&head, 1))));
  if (got == 0) return damaged("is missing: the recording has no end, it was cut there");
  if (got < sizeof head) return damaged("is cut: the file ends in its head");
  if (head.size > kLargestEntry) return damaged("is damaged: it says {} bytes", head.size);
  TRY(std::vector<std::byte> body, read_body(head.size));
  if (check_of(head, body) != head.check) return damaged("is damaged: its checksum does not match");
  return take(head.kind, std::move(body));
}

Result<std::optional<RecordedEntry>> RecordingReader::take(EntryKind kind,
                                                           std::vector<std::byte> body) {
  switch (kind) {
  case EntryKind::Message: {
    if (body.size() < sizeof(TapHeader)) return damaged("is no message: {} bytes", body.size());
    RecordedMessage message{.header = value_in<TapHeader>(body), .payload = {}};
    if (const auto good = check_tap_header(message.header); !good)
      return damaged("{}", good.error().text);
    body.erase(body.begin(), body.begin() + sizeof(TapHeader));
    message.payload = std::move(body);
    ++seen_.messages;
    return message;
  }
  case EntryKind::Gap: {
    if (body.size() != sizeof(RecordedGap)) return damaged("is no gap: {} bytes", body.size());
    const auto gap = value_in<RecordedGap>(body);
    seen_.missed += gap.missed;
    return gap;
  }
  case EntryKind::End: TRY(check_end(body)); return std::nullopt;
  }
  return damaged("is of kind {}, which does not exist", static_cast<std::uint32_t>(kind));
}

Result<> RecordingReader::check_end(const std::vector<std::byte>& body) {
  if (body.size() != sizeof(RecordedEnd)) return damaged("is no end: {} bytes", body.size());
  const auto end = value_in<RecordedEnd>(body);
  if (end.messages != seen_.messages || end.missed != seen_.missed)
    return damaged("says that there are {} messages, and there are {}", end.messages,
                   seen_.messages);
  std::byte more{};
  TRY(const std::size_t got, fill(std::span(&more, 1)));
  if (got != 0) return damaged("is the end, and something follows it");
  ended_ = true;
  return {};
}

} // namespace mohhos::ipc
