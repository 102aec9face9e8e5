#include "ipc/refill.hpp"

#include <cstring>
#include <vector>

#include <unistd.h>

#include "ipc/layout.hpp"

namespace mohhos::ipc {
namespace {

Result<> write_exactly(int fd, std::span<const std::byte> bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (put < 0) return fail_errno("writing a ring");
    bytes = bytes.subspan(static_cast<std::size_t>(put));
    offset += static_cast<std::uint64_t>(put);
  }
  return {};
}

template <class T>
Result<> write_value(int fd, const T& value, std::uint64_t offset) {
  return write_exactly(fd, std::as_bytes(std::span(&value, 1)), offset);
}

} // namespace

std::uint64_t Refill::extent(std::uint64_t payload) {
  return (sizeof(RecordHeader) + sizeof(RecordExtension) + payload + kGrain - 1) & ~(kGrain - 1);
}

Result<std::uint64_t> Refill::put(const MessageInfo& info, std::span<const std::byte> payload) {
  if (payload.size() > largest_payload(capacity_))
    return fail(Code::TooLarge, "a message of {} bytes for a ring of {}", payload.size(),
                capacity_);
  const bool extended = info.event != 0 || info.generation != 0;
  const PublishWord word{.size = static_cast<std::uint32_t>(payload.size()),
                         .tag = tag_of(end_),
                         .type = static_cast<std::uint8_t>(info.type),
                         .flags = static_cast<std::uint8_t>(static_cast<unsigned>(info.priority) |
                                                            kDurable | (extended ? kExtended : 0))};
  if (end_ + word.end(end_) - end_ + kGrain > capacity_)
    return fail(Code::Exhausted, "a ring of {} bytes has no more room", capacity_);
  std::vector<std::byte> record(word.header_size() + payload.size());
  const RecordHeader header{.publish = word.pack(), .timestamp_ns = monotonic_ns()};
  std::memcpy(record.data(), &header, sizeof header);
  if (extended) {
    const RecordExtension extension{.generation = info.generation, .event = info.event};
    std::memcpy(record.data() + sizeof header, &extension, sizeof extension);
  }
  if (!payload.empty())
    std::memcpy(record.data() + word.header_size(), payload.data(), payload.size());
  TRY(write_exactly(data_, record, kHeaderPage + end_));
  end_ = word.end(end_);
  ++count_;
  bytes_ += payload.size();
  return end_;
}

Result<> Refill::finish() {
  const SenderCounters counters{.head = end_, .sent = count_, .bytes = bytes_, .high_water = end_};
  TRY(write_value(data_, counters, offsetof(DataHeader, counters)));
  return write_value(control_, end_, offsetof(Control, begun));
}

} // namespace mohhos::ipc
