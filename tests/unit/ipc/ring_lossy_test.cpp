// The ring that overwrites its oldest records: what arrives is whole and in order, and what does
// not is counted to the message.
#include <array>
#include <sys/stat.h>
#include <thread>

#include "ring_memory.hpp"

namespace mohhos::ipc {
namespace {

using Got = RingReceiver::Outcome;
using Sent = RingSender::Outcome;
using testing::Pair;
using testing::text_of;
using testing::Writable;

TEST(LossyRing, LosesNothingWhileThereIsRoom) {
  Pair ring(4096, Loss::Oldest);
  for (int i = 0; i < 10; ++i) ring.send(std::to_string(i));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(ring.take(), std::to_string(i));
  EXPECT_EQ(ring.take(), std::nullopt);
  EXPECT_EQ(ring.receiver->ring().counters().dropped, 0U);
}

TEST(LossyRing, GivesUpTheOldestAndCountsExactlyWhatWasMissed) {
  Pair ring(4096, Loss::Oldest);
  constexpr int kCount = 1000;
  for (int i = 0; i < kCount; ++i) ASSERT_EQ(ring.send(std::to_string(i)), Sent::Ok);
  std::uint64_t received = 0;
  int last = -1;
  while (const auto text = ring.take()) {
    const int number = std::stoi(*text);
    EXPECT_TRUE(last == -1 || number == last + 1);
    last = number;
    ++received;
  }
  EXPECT_EQ(last, kCount - 1);
  EXPECT_GT(received, 30U);
  EXPECT_EQ(received + ring.receiver->ring().counters().dropped, std::uint64_t{kCount});
}

TEST(LossyRing, CountsOnAcrossBothSidesSuccessors) {
  Pair ring(4096, Loss::Oldest);
  std::uint64_t received = 0;
  for (int i = 0; i < 500; ++i) {
    ring.send(std::to_string(i));
    if (i % 100 == 50) ring.new_sender(2);
    if (i % 100 == 70) ring.new_receiver();
    if (i % 7 == 0 && ring.take()) ++received;
  }
  while (ring.take()) ++received;
  EXPECT_EQ(received + ring.receiver->ring().counters().dropped, 500U);
}

TEST(LossyRing, DeliversWholeMessagesInOrderBesideARacingSender) {
  Pair ring(4096, Loss::Oldest);
  constexpr std::uint64_t kCount = 200'000;
  std::thread sending([&] {
    for (std::uint64_t i = 1; i <= kCount; ++i) {
      const std::array<std::uint64_t, 5> words{i, i, i, i, i};
      std::span<std::byte> space;
      ASSERT_EQ(ring.sender->ring().loan(sizeof words, {.event = 1}, space), Sent::Ok);
      for (std::size_t w = 0; w < words.size(); ++w)
        __atomic_store_n(reinterpret_cast<std::uint64_t*>(space.data()) + w, words[w],
                         __ATOMIC_RELAXED);
      ring.sender->commit();
    }
  });
  std::uint64_t last = 0;
  std::uint64_t received = 0;
  while (last != kCount) {
    View view;
    const Got got = ring.receiver->next(view);
    ASSERT_NE(got, Got::Broken) << breach_text(ring.receiver->ring().breach());
    if (got == Got::Empty) continue;
    std::array<std::uint64_t, 5> words{};
    ASSERT_EQ(view.payload.size(), sizeof words);
    std::memcpy(words.data(), view.payload.data(), sizeof words);
    for (const std::uint64_t word : words) ASSERT_EQ(word, words[0]);
    ASSERT_GT(words[0], last);
    last = words[0];
    ++received;
    ring.receiver->release(view);
  }
  sending.join();
  EXPECT_EQ(received + ring.receiver->ring().counters().dropped, kCount);
}

TEST(LossyRing, IsBrokenByAnOldestThatIsNoPlaceOfARecord) {
  Pair ring(4096, Loss::Oldest);
  const Writable writable(ring);
  ring.send("x");
  writable.header()->oldest = 65;
  View view;
  EXPECT_EQ(ring.receiver->next(view), Got::Broken);
  EXPECT_EQ(ring.receiver->ring().breach(), Breach::OldestUnaligned);
}

TEST(Redelivery, FlagsWhatTheReceiverBeforeHadBegunAndNothingElse) {
  Pair ring;
  for (const char* text : {"done", "begun", "not begun"}) ring.send(text);
  EXPECT_EQ(ring.take(), "done");
  View view;
  ASSERT_EQ(ring.receiver->next(view), Got::Message); // and dies over it
  ring.new_receiver();
  ASSERT_EQ(ring.receiver->next(view), Got::Message);
  EXPECT_EQ(text_of(view.payload), "begun");
  EXPECT_TRUE(view.info.redelivered);
  ring.receiver->release(view);
  ASSERT_EQ(ring.receiver->next(view), Got::Message);
  EXPECT_EQ(text_of(view.payload), "not begun");
  EXPECT_FALSE(view.info.redelivered);
  EXPECT_EQ(ring.receiver->ring().counters().redelivered, 1U);
}

TEST(Counters, AreWhatHappened) {
  Pair ring(4096);
  for (int i = 0; i < 20; ++i) ring.send("0123456789");
  for (int i = 0; i < 5; ++i) ring.take();
  const SenderCounters& sent = ring.sender->ring().counters();
  EXPECT_EQ(sent.sent, 20U);
  EXPECT_EQ(sent.bytes, 200U);
  EXPECT_EQ(sent.head, 20U * kPair);
  EXPECT_GE(sent.high_water, 20 * kPair - 8 * kPair);
  EXPECT_LE(sent.high_water, 20 * kPair);
  EXPECT_EQ(ring.receiver->ring().counters().acknowledged, 5U);
}

TEST(Counters, PutALatencyIntoTheBucketWhoseLimitIsTheFirstAboveIt) {
  for (const std::uint64_t ns : {0U, 31U, 32U, 47U, 48U, 63U, 64U, 1000U, 1'000'000U}) {
    const std::size_t bucket = latency_bucket(ns);
    EXPECT_LT(ns, bucket_limit_ns(bucket)) << ns;
    if (bucket > 0) {
      EXPECT_GE(ns, bucket_limit_ns(bucket - 1)) << ns;
    }
  }
  EXPECT_EQ(latency_bucket(~0ULL), kLatencyBuckets - 1);
}

TEST(IdleRing, GivesItsMemoryBackAndGoesOn) {
  constexpr std::uint64_t kRing = 1 << 20;
  Pair ring(kRing);
  const std::string large(100'000, 'x');
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(ring.send(large), Sent::Ok);
    ASSERT_EQ(ring.take(), large);
  }
  struct stat before{};
  ASSERT_EQ(::fstat(ring.memory.data.get(), &before), 0);
  ring.send("unread");
  ring.sender->return_memory(); // not with a message in it
  EXPECT_EQ(ring.take(), "unread");
  ring.sender->return_memory();
  struct stat after{};
  ASSERT_EQ(::fstat(ring.memory.data.get(), &after), 0);
  EXPECT_GT(before.st_blocks * 512, 900'000);
  EXPECT_LE(after.st_blocks * 512, 3 * 4096);
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(ring.send(large), Sent::Ok);
    ASSERT_EQ(ring.take(), large);
  }
}

// Of those the sender makes no lines 0 ahead of time: there is nothing in front of it to be spared.
TEST(IdleRing, GivesItsMemoryBackBehindALongMessageToo) {
  constexpr std::uint64_t kRing = 1 << 20;
  for (const std::size_t size : {700U, 1000U, 4000U, 4064U, 5000U, 100'000U, 250'000U}) {
    Pair ring(kRing);
    const std::string message(size, 'x');
    for (std::size_t sent = 0; sent < 2 * kRing; sent += size) {
      ASSERT_EQ(ring.send(message), Sent::Ok);
      ASSERT_EQ(ring.take(), message);
    }
    ring.sender->return_memory();
    struct stat after{};
    ASSERT_EQ(::fstat(ring.memory.data.get(), &after), 0);
    EXPECT_LE(after.st_blocks * 512, 4 * 4096) << size;
    ASSERT_EQ(ring.send(message), Sent::Ok);
    ASSERT_EQ(ring.take(), message);
    ASSERT_EQ(ring.take(), std::nullopt);
  }
}

} // namespace
} // namespace mohhos::ipc
