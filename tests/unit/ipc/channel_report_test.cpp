// What an onlooker makes of a channel's counters: right ones, those of another moment, and lies.
#include <limits>
#include <random>

#include <gtest/gtest.h>

#include "ipc/channel.hpp"
#include "ipc/channel_report.hpp"
#include "ipc/ring.hpp"
#include "sys/mapping.hpp"

namespace mohhos::ipc {
namespace {

constexpr std::uint64_t kRing = 64 << 10;

// 10 messages of 100 bytes were sent, in records of two lines; 7 are acknowledged.
ChannelCounters healthy() {
  ChannelCounters counters;
  counters.data.counters = {.head = 10 * 128, .sent = 10, .bytes = 1000, .high_water = 5 * 128};
  counters.control.tail = 7 * 128;
  counters.control.counters = {.acknowledged = 7, .sleeps = 3, .wakeups = 2};
  counters.before = counters.control;
  return counters;
}

ChannelReport report(const ChannelCounters& counters, Lane lane = Lane::Normal) {
  return report_of(counters, kRing, lane, 1);
}

TEST(ChannelReport, SaysWhatBothSidesCounted) {
  const ChannelReport seen = report(healthy());
  EXPECT_EQ(seen.sent, 10U);
  EXPECT_EQ(seen.acknowledged, 7U);
  EXPECT_EQ(seen.depth, 3U);
  EXPECT_EQ(seen.depth_bytes, 3U * 128);
  EXPECT_EQ(seen.high_water, 5U * 128);
  EXPECT_EQ(seen.sleeps, 3U);
  EXPECT_EQ(seen.wakeups, 2U);
  EXPECT_EQ(seen.doubt, "");
}

TEST(ChannelReport, ClampsAndNamesWhatCannotBe) {
  const auto doubt = [](const std::function<void(ChannelCounters&)>& lie) {
    ChannelCounters counters = healthy();
    lie(counters);
    const ChannelReport seen = report(counters);
    EXPECT_LE(seen.acknowledged, seen.sent);
    EXPECT_LE(seen.depth_bytes, kRing);
    EXPECT_LE(seen.high_water, kRing);
    return std::string(seen.doubt);
  };
  EXPECT_NE(doubt([](auto& all) { all.before.counters.acknowledged = 12; }), "");
  EXPECT_NE(doubt([](auto& all) { all.before.tail = 10 * 128 + kRing + 64; }), "");
  EXPECT_NE(doubt([](auto& all) { all.data.counters.head = 7 * 128 + kRing + 64; }), "");
  EXPECT_NE(doubt([](auto& all) { all.data.counters.high_water = kRing + 1; }), "");
  EXPECT_NE(doubt([](auto& all) { all.data.counters.bytes = 10 * 128 + 1; }), "");
}

TEST(ChannelReport, DoubtsNobodyForWhatHappenedBetweenTwoReadings) {
  ChannelCounters counters = healthy();
  // The sender is just behind its publication; the receiver has acknowledged it already.
  counters.before.counters.acknowledged = 11;
  counters.before.tail = 11 * 128;
  counters.control = counters.before;
  const ChannelReport seen = report(counters);
  EXPECT_EQ(seen.doubt, "");
  EXPECT_EQ(seen.acknowledged, 10U);
  EXPECT_EQ(seen.depth, 0U);
  // Much was sent and acknowledged after the sender's page was read.
  counters = healthy();
  counters.control.tail = 500 * 128;
  counters.control.counters.acknowledged = 500;
  EXPECT_EQ(report(counters).doubt, "");
  EXPECT_EQ(report(counters).depth, 0U);
}

TEST(ChannelReport, CountsOfALossyRingWhatIsStillThere) {
  ChannelCounters counters = healthy();
  counters.data.counters.head = 10 * kRing;
  counters.data.counters.sent = 10 * kRing / 128;
  counters.data.oldest = 10 * kRing - 4 * 128;
  const ChannelReport seen = report(counters, Lane::Lossy);
  EXPECT_EQ(seen.depth_bytes, 4U * 128);
  EXPECT_EQ(seen.depth, 32U); // the receiver has not counted yet what it missed: no more than fit
  EXPECT_EQ(seen.doubt, "");
}

TEST(ChannelReport, SurvivesAnyBytes) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 20'000; ++round) {
    ChannelCounters counters;
    const std::span words(reinterpret_cast<std::uint64_t*>(&counters), sizeof counters / 8);
    for (std::uint64_t& word : words)
      word = random() >> random() % 64 | (random() % 8 == 0 ? ~std::uint64_t{0} : 0);
    const ChannelReport seen = report_of(counters, kRing, static_cast<Lane>(random() % 7), 1);
    ASSERT_LE(seen.acknowledged, seen.sent);
    ASSERT_LE(seen.depth_bytes, kRing);
    ASSERT_LE(seen.depth, kRing / kGrain);
    ASSERT_LE(seen.latency_p50_ns, seen.latency_p99_ns);
    ASSERT_LE(seen.latency_p99_ns, seen.latency_p999_ns);
  }
}

TEST(ChannelReport, FindsPercentilesInTheHistogram) {
  std::uint64_t histogram[kLatencyBuckets] = {};
  EXPECT_EQ(latency_percentile_ns(histogram, 500), 0U);
  histogram[4] = 1;
  for (const std::uint32_t each : {1U, 500U, 999U, 1000U})
    EXPECT_EQ(latency_percentile_ns(histogram, each), bucket_limit_ns(4));
  histogram[4] = 989; // of 1000: 98.9 %
  histogram[9] = 10;
  histogram[20] = 1;
  EXPECT_EQ(latency_percentile_ns(histogram, 500), bucket_limit_ns(4));
  EXPECT_EQ(latency_percentile_ns(histogram, 990), bucket_limit_ns(9));
  EXPECT_EQ(latency_percentile_ns(histogram, 999), bucket_limit_ns(9));
  EXPECT_EQ(latency_percentile_ns(histogram, 1000), bucket_limit_ns(20));
  histogram[0] = histogram[1] = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(latency_percentile_ns(histogram, 500), bucket_limit_ns(0));
}

TEST(ChannelReport, AgreesWithARealRing) {
  auto memory = make_channel_memory(kRing);
  ASSERT_TRUE(memory);
  auto sender = SendingChannel::attach(*make_sender_end(*memory), kRing, 1);
  auto receiver = ReceivingChannel::attach(*make_receiver_end(*memory), kRing);
  ASSERT_TRUE(sender && receiver);
  for (int i = 0; i < 30; ++i) {
    std::span<std::byte> bytes;
    ASSERT_EQ(sender->ring().loan(20, {}, bytes), RingSender::Outcome::Ok);
    sender->commit();
  }
  for (int i = 0; i < 12; ++i) {
    View view;
    ASSERT_EQ(receiver->next(view), RingReceiver::Outcome::Message);
    receiver->ring().note_latency(100);
    receiver->release(view);
  }
  const auto counters = read_counters(memory->data.get(), memory->control.get());
  ASSERT_TRUE(counters) << counters.error().text;
  const ChannelReport seen = report(*counters);
  EXPECT_EQ(seen.sent, 30U);
  EXPECT_EQ(seen.bytes, 600U);
  EXPECT_EQ(seen.acknowledged, 12U);
  EXPECT_EQ(seen.depth, 18U);
  EXPECT_EQ(seen.depth_bytes, 18U * kPair);
  EXPECT_EQ(seen.latency_p50_ns, 128U);
  EXPECT_EQ(seen.doubt, "");
}

} // namespace
} // namespace mohhos::ipc
