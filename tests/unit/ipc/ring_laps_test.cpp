// Laps: a flow that its receiver keeps up with begins anew at the ring's beginning, one that is
// dense or waits goes round the whole ring. What is skipped is no message, nor in anybody's way.
#include <sys/stat.h>

#include "ipc/channel_report.hpp"
#include "ipc/remains.hpp"
#include "ring_memory.hpp"

namespace mohhos::ipc {
namespace {

using testing::kTestLaps;
using testing::Pair;
using testing::Writable;
using Got = RingReceiver::Outcome;
using Sent = RingSender::Outcome;

constexpr Laps kNeverDense{.bytes = kShortLap, .dense_ns = 0};
constexpr Laps kAlwaysDense{.bytes = kShortLap, .dense_ns = UINT64_MAX / kMaxRing};

Pair ring_with(const Laps& laps, std::uint64_t bytes = 16384) {
  return Pair(bytes, Loss::Never, false, laps);
}

std::uint64_t memory_of(const Pair& ring) {
  struct stat about{};
  EXPECT_EQ(::fstat(ring.memory.data.get(), &about), 0);
  return static_cast<std::uint64_t>(about.st_blocks) * 512;
}

void pass(Pair& ring, int messages) {
  const std::string text(100, 'x');
  for (int i = 0; i < messages; ++i) {
    ASSERT_EQ(ring.send(text), Sent::Ok);
    ASSERT_EQ(ring.take(), text);
  }
}

// To where the next loan ends a lap.
void pass_a_lap(Pair& ring) {
  const std::uint64_t begin = ring.sender->ring().head();
  while (ring.sender->ring().head() - begin < kTestLaps.bytes) {
    ASSERT_EQ(ring.send("on the way"), Sent::Ok);
    ASSERT_EQ(ring.take(), "on the way");
  }
}

TEST(Laps, AFlowThatItsReceiverKeepsUpWithStaysAtTheRingsBeginning) {
  Pair ring = ring_with(kNeverDense, kDefaultRing);
  ASSERT_NO_FATAL_FAILURE(pass(ring, 100'000));
  EXPECT_LE(memory_of(ring), kHeaderPage + 3 * kShortLap / 2);
  EXPECT_EQ(ring.sender->ring().long_laps(), 0U);
  EXPECT_TRUE(ring.sender->ring().drained());
  EXPECT_LE(ring.sender->ring().counters().high_water, 1024U);
}

TEST(Laps, ADenseOneGoesRoundTheWholeRing) {
  Pair ring = ring_with(kAlwaysDense, kDefaultRing);
  ASSERT_NO_FATAL_FAILURE(pass(ring, 2)); // the first lap begins before the flow
  ASSERT_NO_FATAL_FAILURE(pass(ring, 2 * kDefaultRing / 128));
  EXPECT_GE(memory_of(ring), kDefaultRing);
  EXPECT_GE(ring.sender->ring().long_laps(), kDefaultRing / kShortLap);
  ring.sender->return_memory();
  EXPECT_LE(memory_of(ring), 3 * kHeaderPage);
}

TEST(Laps, AReceiverThatDoesNotKeepUpHasTheWholeRing) {
  Pair ring = ring_with(kTestLaps);
  int sent = 0;
  while (ring.send("waits") == Sent::Ok) ++sent;
  EXPECT_EQ(sent, 16384 / 128 - 1);
  for (int i = 0; i < sent; ++i) EXPECT_EQ(ring.take(), "waits");
  EXPECT_EQ(Writable(ring).header()->skip_end, 0U);
}

// One that stays in a ring which nobody else is told of would be in the way for ever.
TEST(Laps, ALoanThatIsForgottenTakesItsSkipBack) {
  Pair ring = ring_with(kTestLaps);
  const Writable words(ring);
  ASSERT_NO_FATAL_FAILURE(pass_a_lap(ring));
  const std::uint64_t head = ring.sender->ring().head();
  std::span<std::byte> space;
  ASSERT_EQ(ring.sender->ring().loan(10, {}, space), Sent::Ok);
  EXPECT_EQ(ring.sender->ring().head() % ring.capacity, 0U); // it would begin anew
  EXPECT_FALSE(ring.receiver->ready());
  ring.sender->ring().forget_loan();
  EXPECT_EQ(ring.sender->ring().head(), head);
  EXPECT_EQ(*words.word(head), 0U);
  EXPECT_TRUE(ring.sender->ring().drained());
  ASSERT_NO_FATAL_FAILURE(pass(ring, 100));
  EXPECT_NE(words.header()->skip_end, 0U);
}

TEST(Laps, AnEmptyRingHasRoomForTheLargestMessageAtAnyTime) {
  Pair ring = ring_with(kTestLaps);
  const std::string largest(largest_payload(ring.capacity), 'l');
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(ring.send(largest), Sent::Ok) << i;
    ASSERT_EQ(ring.take(), largest);
    ASSERT_NO_FATAL_FAILURE(pass(ring, i % 20));
    std::span<std::byte> space;
    ASSERT_EQ(ring.sender->ring().loan(1, {}, space), Sent::Ok); // and is forgotten
  }
  EXPECT_NE(Writable(ring).header()->skip_end, 0U);
}

// Messages that are out on both sides of a skip, released together or one by one.
TEST(Laps, WhatIsSkippedIsReleasedWithWhatLiesBeforeIt) {
  for (const bool together : {true, false}) {
    Pair ring = ring_with(kTestLaps);
    std::vector<View> out;
    for (int i = 0; Writable(ring).header()->skip_end == 0; ++i) {
      ASSERT_LT(i, 100);
      ASSERT_EQ(ring.send("x"), Sent::Ok);
      ASSERT_EQ(ring.receiver->next(out.emplace_back()), Got::Message);
      // The last two or three stay out.
      if (out.size() > 2) ring.receiver->release(out[out.size() - 3]);
    }
    const std::uint64_t skip_end = Writable(ring).header()->skip_end;
    ASSERT_EQ(out.back().info.id, message_id(skip_end));
    const View& last_before = out[out.size() - 2];
    if (!together) {
      ring.receiver->release(last_before);
      EXPECT_EQ(ring.receiver->ring().tail(), skip_end);
      EXPECT_FALSE(ring.receiver->all_released());
    }
    ring.receiver->release(out.back());
    EXPECT_TRUE(ring.receiver->all_released());
    EXPECT_TRUE(ring.sender->ring().drained());
    ASSERT_NO_FATAL_FAILURE(pass(ring, 300));
  }
}

// … and its successor gets both again, flagged, and nothing for what lies between.
TEST(Laps, ASuccessorOfTheReceiverGetsWhatLiesOnBothSidesOfASkip) {
  Pair ring = ring_with(kTestLaps);
  View view;
  std::uint64_t first = 0;
  for (int i = 0; Writable(ring).header()->skip_end == 0; ++i) {
    ASSERT_LT(i, 100);
    if (i > 0) ring.receiver->release(view);
    first = i > 0 ? view.info.id : 0;
    ASSERT_EQ(ring.send(std::to_string(i)), Sent::Ok);
    if (Writable(ring).header()->skip_end == 0) {
      ASSERT_EQ(ring.receiver->next(view), Got::Message);
    }
  }
  EXPECT_GT(first, 0U);
  ring.new_receiver();
  ASSERT_EQ(ring.receiver->next(view), Got::Message);
  EXPECT_FALSE(view.info.redelivered);
  EXPECT_EQ(view.info.id, message_id(Writable(ring).header()->skip_end));
  ring.new_receiver();
  ASSERT_EQ(ring.receiver->next(view), Got::Message);
  EXPECT_TRUE(view.info.redelivered);
  ring.receiver->release(view);
  EXPECT_TRUE(ring.sender->ring().drained());
}

TEST(Laps, ASuccessorOfTheSenderWalksOverASkip) {
  Pair ring = ring_with(kTestLaps);
  int sent = 0;
  int taken = 0;
  while (Writable(ring).header()->skip_end == 0) {
    ASSERT_EQ(ring.send(std::to_string(sent++)), Sent::Ok);
    if (sent > 2) {
      ASSERT_EQ(ring.take(), std::to_string(taken++));
    }
  }
  const std::uint64_t head = ring.sender->ring().head();
  ring.new_sender(2);
  EXPECT_EQ(ring.sender->ring().head(), head);
  ASSERT_EQ(ring.send(std::to_string(sent++)), Sent::Ok);
  while (taken < sent) ASSERT_EQ(ring.take(), std::to_string(taken++));
  EXPECT_EQ(ring.take(), std::nullopt);
}

TEST(Laps, NobodyElseTakesASkipForAMessage) {
  Pair ring = ring_with(kTestLaps);
  std::uint64_t skip = 0;
  int unread = 0;
  for (; Writable(ring).header()->skip_end == 0; ++unread) {
    skip = ring.sender->ring().head();
    ASSERT_EQ(ring.send("x"), Sent::Ok);
    if (unread >= 2) {
      ASSERT_EQ(ring.take(), "x");
      --unread;
    }
  }
  const Remains remains(ring.memory.data.get(), ring.memory.control.get(), ring.capacity);
  const auto word = remains.word_at(skip);
  ASSERT_TRUE(word && *word);
  EXPECT_EQ((*word)->flags, kSkip);
  EXPECT_EQ((*word)->end(skip), Writable(ring).header()->skip_end);
  const auto message = remains.at(skip);
  ASSERT_TRUE(message) << message.error().text;
  EXPECT_FALSE(*message);
  const auto counters = read_counters(ring.memory.data.get(), ring.memory.control.get());
  ASSERT_TRUE(counters);
  const ChannelReport seen = report_of(*counters, ring.capacity, Lane::Normal, 1);
  EXPECT_EQ(seen.depth, static_cast<std::uint64_t>(unread));
  EXPECT_EQ(seen.depth_bytes, static_cast<std::uint64_t>(unread) * kPair);
  EXPECT_EQ(seen.doubt, "");
}

ChannelReport report(const Pair& ring) {
  const auto counters = read_counters(ring.memory.data.get(), ring.memory.control.get());
  EXPECT_TRUE(counters);
  return report_of(*counters, ring.capacity, Lane::Normal, 1);
}

// The sender died between the words about a skip and the skip itself: its successor has none there.
TEST(Laps, ASenderThatDiedOverASkipLeavesNoFalseHighWater) {
  Pair ring = ring_with(kTestLaps);
  const Writable words(ring);
  ASSERT_NO_FATAL_FAILURE(pass_a_lap(ring));
  const std::uint64_t head = ring.sender->ring().head();
  const std::uint64_t end = (head + ring.capacity) & ~(ring.capacity - 1);
  words.header()->skip_end = end; // publish_skip() up to here
  words.header()->skipped = end - head;
  ring.new_sender(2);
  // A receiver that stays behind a while: the mark is looked at.
  const std::string text(1000, 'x');
  int sent = 0;
  while (sent < 13 && ring.send(text) == Sent::Ok) ++sent;
  EXPECT_LE(ring.sender->ring().counters().high_water, ring.capacity);
  EXPECT_EQ(report(ring).doubt, "");
  EXPECT_EQ(report(ring).depth, static_cast<std::uint64_t>(sent));
}

// A receiver says that it is in the middle of a skip. What the sender counts of itself stays true.
TEST(Laps, AReceiverCannotMakeItsSenderLookBroken) {
  Pair ring = ring_with(kTestLaps);
  const Writable words(ring);
  std::uint64_t skip = 0;
  while (words.header()->skip_end == 0) {
    skip = ring.sender->ring().head();
    ASSERT_EQ(ring.send("x"), Sent::Ok);
    ASSERT_EQ(ring.take(), "x");
  }
  words.control()->tail = words.header()->skip_end - kGrain;
  const std::string text(1000, 'x');
  while (ring.send(text) == Sent::Ok) {
  }
  EXPECT_EQ(ring.sender->ring().breach(), Breach::None);
  EXPECT_GT(skip, 0U);
  EXPECT_LE(ring.sender->ring().counters().high_water, ring.capacity);
  EXPECT_EQ(report(ring).doubt, "");
}

TEST(Laps, OfARingThatIsCondemnedAtALapsEndNothingIsLent) {
  Pair ring = ring_with(kTestLaps);
  const Writable words(ring);
  ASSERT_NO_FATAL_FAILURE(pass_a_lap(ring));
  words.control()->tail += 8;
  std::span<std::byte> space;
  EXPECT_EQ(ring.sender->ring().loan(10, {}, space), Sent::Broken);
  EXPECT_EQ(ring.sender->ring().breach(), Breach::TailUnaligned);
}

TEST(Laps, WhatWasReleasedNeverBecomesLess) {
  Pair ring = ring_with(kTestLaps);
  std::vector<View> out;
  std::uint64_t released = 0;
  for (int i = 0; Writable(ring).header()->skip_end == 0; ++i) {
    ASSERT_LT(i, 100);
    ASSERT_EQ(ring.send("x"), Sent::Ok);
    ASSERT_EQ(ring.receiver->next(out.emplace_back()), Got::Message);
    // (One is held besides this one.)
    EXPECT_GE(static_cast<std::int64_t>(ring.receiver->ring().released_bytes() - released), 0);
    if (out.size() > 1) ring.receiver->release(out[out.size() - 2]);
    released = ring.receiver->ring().released_bytes();
  }
}

// As Endpoint::acknowledged() asks: a loan that its owner gives up is no message.
TEST(Laps, ALoanThatNobodyCommitsLeavesADrainedRingDrained) {
  Pair ring = ring_with(kTestLaps);
  ASSERT_NO_FATAL_FAILURE(pass_a_lap(ring));
  std::span<std::byte> space;
  EXPECT_TRUE(ring.sender->ring().drained());
  ASSERT_EQ(ring.sender->ring().loan(10, {}, space), Sent::Ok);
  EXPECT_TRUE(ring.sender->ring().drained());
}

// The room for a skip is judged before the extension is added. (Only where Laps::messages is
// small.)
TEST(Laps, AnEmptyRingTakesAMessageWithAnExtensionAtALapsEnd) {
  Pair ring = ring_with(kTestLaps);
  ASSERT_NO_FATAL_FAILURE(pass_a_lap(ring));
  ASSERT_EQ(ring.sender->ring().head(), 1024U);
  ASSERT_TRUE(ring.sender->ring().drained());
  const std::string text(1024 - 128 - 16, 'x');
  EXPECT_EQ(ring.send(text, {.correlation = 1}), Sent::Ok);
  EXPECT_EQ(ring.send(text, {.correlation = 1}), Sent::Ok); // nor later: it waits for itself
  EXPECT_EQ(ring.take(), text);
}

TEST(Laps, LapsGoOnWherePositionsBeginAgain) {
  Pair ring = ring_with(kTestLaps);
  const Writable words(ring);
  words.control()->tail = words.control()->begun = std::uint64_t{0} - 3 * 16384 - 48;
  ring.new_sender();
  ring.new_receiver();
  for (int i = 0; i < 2000; ++i) {
    ASSERT_EQ(ring.send(std::to_string(i)), Sent::Ok) << i;
    if (i % 3 != 0) {
      ASSERT_EQ(ring.send("another"), Sent::Ok);
    }
    if (i % 100 == 0) ring.sender->return_memory();
    ASSERT_EQ(ring.take(), std::to_string(i));
    if (i % 3 != 0) {
      ASSERT_EQ(ring.take(), "another");
    }
    if (i % 97 == 0) ring.new_sender(2);
    if (i % 89 == 0) ring.new_receiver();
  }
  EXPECT_LT(ring.sender->ring().head(), std::uint64_t{1} << 32);
  EXPECT_TRUE(ring.sender->ring().drained());
}

TEST(Laps, ASkipThatDoesNotEndWithTheRingOrFollowsAnotherIsABreach) {
  const auto breach_of = [](std::vector<PublishWord> words, Loss loss = Loss::Never) {
    Pair ring(4096, loss);
    const Writable memory(ring);
    std::uint64_t at = 0;
    for (PublishWord word : words) {
      word.tag = tag_of(at);
      const std::uint64_t end = word.end(at);
      *memory.word(end) = 0;
      *memory.word(at) = word.pack();
      at = end;
      View view;
      if (ring.receiver->next(view) == Got::Message) ring.receiver->release(view);
    }
    return ring.receiver->ring().breach();
  };
  const PublishWord message{.size = 1000, .type = 7};
  const PublishWord rest{.size = 4096 - 1024 - 16, .flags = kSkip};
  EXPECT_EQ(breach_of({message, rest}), Breach::None);
  EXPECT_EQ(breach_of({message, rest}, Loss::Oldest), Breach::WrongFlags);
  EXPECT_EQ(breach_of({{.size = 4096 - 16, .flags = kSkip}}), Breach::TooLong);
  EXPECT_EQ(breach_of({message, rest, {.size = 4096 - 16, .flags = kSkip}}), Breach::TooLong);
  EXPECT_EQ(breach_of({message, {.size = rest.size - 16, .flags = kSkip}}), Breach::WrongFlags);
  EXPECT_EQ(breach_of({message, {.size = rest.size, .type = 1, .flags = kSkip}}),
            Breach::WrongFlags);
  EXPECT_EQ(breach_of({message, {.size = rest.size, .flags = kSkip | kDurable}}),
            Breach::WrongFlags);
  EXPECT_EQ(breach_of({message, {.size = rest.size + 4096, .flags = kSkip}}), Breach::TooLong);
}

} // namespace
} // namespace mohhos::ipc
