#include "ipc/channel_report.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include <unistd.h>

namespace mohhos::ipc {
namespace {

template <class Page>
Result<> read_page(int fd, Page& page) {
  const ssize_t got = ::pread(fd, &page, sizeof page, 0);
  if (got < 0) return fail_errno("reading a channel's counters");
  if (static_cast<std::size_t>(got) != sizeof page)
    return fail(Code::Malformed, "a channel's memory ends after {} bytes", got);
  return {};
}

std::uint64_t plus(std::uint64_t a, std::uint64_t b) {
  return a > std::numeric_limits<std::uint64_t>::max() - b
             ? std::numeric_limits<std::uint64_t>::max()
             : a + b;
}

// How far `a` is ahead of `b`, positions that count on for ever; 0 when it is behind.
std::uint64_t ahead(std::uint64_t a, std::uint64_t b) {
  const auto distance = static_cast<std::int64_t>(a - b);
  return distance > 0 ? static_cast<std::uint64_t>(distance) : 0;
}

} // namespace

Result<ChannelCounters> read_counters(int data, int control) {
  ChannelCounters counters;
  TRY(read_page(control, counters.before));
  TRY(read_page(data, counters.data));
  TRY(read_page(control, counters.control));
  return counters;
}

std::uint64_t latency_percentile_ns(std::span<const std::uint64_t, kLatencyBuckets> histogram,
                                    std::uint32_t thousandths) {
  std::uint64_t total = 0;
  for (const std::uint64_t count : histogram) total = plus(total, count);
  if (total == 0) return 0;
  // The smallest bucket with at least this many at and below it, without a product that overflows.
  const std::uint64_t above =
      total / 1000 * (1000 - thousandths) + total % 1000 * (1000 - thousandths) / 1000;
  const std::uint64_t wanted = std::max<std::uint64_t>(total - above, 1);
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket < kLatencyBuckets; ++bucket) {
    seen = plus(seen, histogram[bucket]);
    if (seen >= wanted) return bucket_limit_ns(bucket);
  }
  return bucket_limit_ns(kLatencyBuckets - 1);
}

ChannelReport report_of(const ChannelCounters& counters, std::uint64_t capacity, Lane lane,
                        std::uint32_t senders) {
  const SenderCounters& sender = counters.data.counters;
  const ReceiverCounters& receiver = counters.control.counters;
  ChannelReport report{.sent = sender.sent,
                       .acknowledged = std::min(receiver.acknowledged, sender.sent),
                       .bytes = sender.bytes,
                       .high_water = std::min(sender.high_water, capacity),
                       .dropped = plus(sender.dropped, receiver.dropped),
                       .refused = sender.refused,
                       .space_waits = sender.space_waits,
                       .redelivered = receiver.redelivered,
                       .expired = receiver.expired,
                       .sleeps = receiver.sleeps,
                       .wakeups = receiver.wakeups,
                       .bells = sender.bells,
                       .latency_p50_ns = latency_percentile_ns(counters.control.latency, 500),
                       .latency_p99_ns = latency_percentile_ns(counters.control.latency, 990),
                       .latency_p999_ns = latency_percentile_ns(counters.control.latency, 999)};
  std::uint64_t begin = counters.control.tail;
  if (lane == Lane::Lossy) begin += ahead(counters.data.oldest, begin);
  const std::uint64_t in_use = ahead(sender.head, begin);
  // What was skipped is no message.
  const std::uint64_t skip_end = counters.data.skip_end;
  const bool skips = ahead(skip_end, begin) != 0 && ahead(skip_end, sender.head) == 0;
  const std::uint64_t skipped = skips ? std::min(counters.data.skipped, skip_end - begin) : 0;
  report.depth_bytes = std::min(in_use - std::min(skipped, in_use), capacity);
  // A record is a grain at least, and of an empty ring the counters may be those of another moment.
  const std::uint64_t done = plus(receiver.acknowledged, receiver.dropped);
  report.depth = std::min(sender.sent > done ? sender.sent - done : 0, report.depth_bytes / kGrain);

  // A sender publishes and counts afterwards: each that died, or was just stopped, in between has
  // one message less on its account than the receiver.
  if (ahead(counters.before.tail, sender.head) > capacity)
    report.doubt = "the receiver's tail lies behind what was sent";
  else if (in_use > capacity)
    report.doubt = "more is unread than the ring holds";
  else if (counters.before.counters.acknowledged > plus(sender.sent, senders))
    report.doubt = "the receiver acknowledged more than was sent";
  else if (sender.high_water > capacity)
    report.doubt = "the sender's high water mark lies above the ring";
  else if (sender.bytes > sender.head)
    report.doubt = "the sender counts more bytes than went through the ring";
  return report;
}

std::string_view lane_name(Lane lane) noexcept {
  static constexpr std::array<std::string_view, kLaneCount> kNames = {
      "low", "normal", "high", "urgent", "reply", "lossy", "tap"};
  const auto index = static_cast<std::size_t>(lane);
  return index < kNames.size() ? kNames[index] : "unknown";
}

} // namespace mohhos::ipc
