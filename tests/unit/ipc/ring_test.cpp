#include <algorithm>
#include <deque>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "ipc/shared_word.hpp"
#include "ring_memory.hpp"

namespace mohhos::ipc {
namespace {

using testing::bytes_of;
using testing::Pair;
using testing::text_of;
using Sent = RingSender::Outcome;
using Got = RingReceiver::Outcome;

constexpr std::uint64_t kClockError = 1000; // of FastClock, in nanoseconds

TEST(Ring, DeliversWhatWasSentInOrder) {
  Pair ring;
  EXPECT_EQ(ring.send("one"), Sent::Ok);
  EXPECT_EQ(ring.send(""), Sent::Ok);
  EXPECT_EQ(ring.send("three"), Sent::Ok);
  EXPECT_EQ(ring.take(), "one");
  EXPECT_EQ(ring.take(), "");
  EXPECT_EQ(ring.take(), "three");
  EXPECT_EQ(ring.take(), std::nullopt);
}

TEST(Ring, CarriesEveryFieldOfTheHeader) {
  Pair ring;
  const std::uint64_t before = monotonic_ns();
  ring.send("x", {.type = MessageType::DataResponse,
                  .priority = Priority::Critical,
                  .failed = true,
                  .event = 7,
                  .correlation = 0x1122334455667788,
                  .deadline_ns = 99});
  View view;
  ASSERT_EQ(ring.receiver->next(view), Got::Message);
  EXPECT_EQ(view.info.type, MessageType::DataResponse);
  EXPECT_EQ(view.info.priority, Priority::Critical);
  EXPECT_TRUE(view.info.failed);
  EXPECT_EQ(view.info.event, 7U);
  EXPECT_EQ(view.info.correlation, 0x1122334455667788U);
  EXPECT_EQ(view.info.deadline_ns, 99U);
  EXPECT_EQ(view.info.generation, 1U);
  EXPECT_EQ(view.info.size, 1U);
  EXPECT_GE(view.info.timestamp_ns + kClockError, before);
  EXPECT_LE(view.info.timestamp_ns, monotonic_ns() + kClockError);
}

// The times of so many messages, the n-th of which was committed as `commit` does.
template <class Commit>
std::vector<std::uint64_t> times_of(Pair& ring, int messages, Commit commit) {
  std::vector<std::uint64_t> times;
  for (int i = 0; i < messages; ++i) {
    std::span<std::byte> space;
    EXPECT_EQ(ring.sender->ring().loan(8, {}, space), Sent::Ok);
    commit(i);
    // The clock ticks between two looks, however fine it is.
    for (const auto now = monotonic_ns(); monotonic_ns() < now + 2 * kClockError;) spin_pause();
  }
  View view;
  while (ring.receiver->next(view) == Got::Message) {
    times.push_back(view.info.timestamp_ns);
    ring.receiver->release(view);
  }
  return times;
}

TEST(Ring, EachMessageHasATimeOfItsOwn) {
  Pair ring;
  const auto times = times_of(ring, 20, [&](int) { ring.sender->commit(); });
  EXPECT_EQ(std::set<std::uint64_t>(times.begin(), times.end()).size(), 20U);
}

TEST(Ring, MessagesThatFollowAtOnceShareOneEightAtMost) {
  Pair ring;
  const auto times = times_of(ring, 24, [&](int) { ring.sender->commit(true); });
  EXPECT_EQ(std::set<std::uint64_t>(times.begin(), times.end()).size(), 3U);
  EXPECT_TRUE(std::ranges::is_sorted(times));
}

TEST(Ring, WhoLookedAtTheReceiverMayHaveWaitedAndAsksTheClockAgain) {
  Pair ring;
  const auto times = times_of(ring, 10, [&](int) {
    ring.sender->commit(true);
    (void)ring.sender->ring().must_wake();
  });
  EXPECT_EQ(std::set<std::uint64_t>(times.begin(), times.end()).size(), 10U);
}

TEST(Ring, IdsAreUniqueAndRise) {
  Pair ring;
  std::uint64_t last = 0;
  for (int i = 0; i < 500; ++i) {
    ASSERT_EQ(ring.send(std::string(static_cast<std::size_t>(i % 100), 'x')), Sent::Ok);
    View view;
    ASSERT_EQ(ring.receiver->next(view), Got::Message);
    EXPECT_GT(view.info.id, last);
    last = view.info.id;
    ring.receiver->release(view);
  }
}

TEST(Ring, CloseMessagesShareLinesAndOneThatIsApartEndsAtAPairOfThem) {
  Pair ring;
  const auto head = [&] { return ring.sender->ring().head(); };
  ASSERT_EQ(ring.send("0123456789", {}, Spacing::Close), Sent::Ok); // 16 of header, 10, rounded up
  EXPECT_EQ(head(), 32U);
  ASSERT_EQ(ring.send(std::string(64, 'x'), {}, Spacing::Close), Sent::Ok);
  EXPECT_EQ(head(), 112U);
  ASSERT_EQ(ring.send("apart", {}, Spacing::Apart), Sent::Ok);
  EXPECT_EQ(head(), 256U);
  for (const std::size_t size : {10U, 64U, 5U}) EXPECT_EQ(ring.take()->size(), size);
  ASSERT_EQ(ring.send(std::string(1025, 'x'), {}, Spacing::Apart), Sent::Ok);
  EXPECT_EQ(head(),
            256U + 1056); // longer than a quarter of the ring: it lies close whatever is said
}

TEST(Ring, SaysFullAndTakesMoreOnceSomethingIsReleased) {
  Pair ring;
  int sent = 0;
  while (ring.send("0123456789") == Sent::Ok) ++sent;
  EXPECT_EQ(sent, 4096 / kPair - 1); // one grain stays free
  EXPECT_EQ(ring.send("x"), Sent::Full);
  EXPECT_TRUE(ring.take());
  EXPECT_EQ(ring.send("x"), Sent::Ok);
  EXPECT_EQ(ring.send("x"), Sent::Full);
}

TEST(Ring, TakesTheLargestPayloadAndRefusesOneByteMore) {
  Pair ring;
  const std::string largest(largest_payload(4096), 'L');
  EXPECT_EQ(ring.send(largest + "x"), Sent::TooLarge);
  for (int lap = 0; lap < 5; ++lap) {
    ASSERT_EQ(ring.send(largest, {.correlation = 1}), Sent::Ok);
    ASSERT_EQ(ring.take(), largest);
    ASSERT_EQ(ring.send("shift"), Sent::Ok);
    ASSERT_EQ(ring.take(), "shift");
  }
}

TEST(Ring, SeveralViewsMayBeOutAndOneReleaseAcknowledgesAllBefore) {
  Pair ring;
  for (const char* text : {"a", "b", "c"}) ring.send(text);
  View a, b, c;
  ASSERT_EQ(ring.receiver->next(a), Got::Message);
  ASSERT_EQ(ring.receiver->next(b), Got::Message);
  ASSERT_EQ(ring.receiver->next(c), Got::Message);
  EXPECT_EQ(text_of(a.payload) + text_of(b.payload) + text_of(c.payload), "abc");
  ring.receiver->release(b);
  EXPECT_FALSE(ring.receiver->ring().all_released());
  ring.receiver->release(c);
  EXPECT_TRUE(ring.receiver->ring().all_released());
}

TEST(Ring, OldPayloadIsNeverTakenForARecord) {
  // Payloads that are themselves perfect publish words for every place in the laps to come.
  Pair ring;
  for (std::uint64_t round = 0; round < 300; ++round) {
    const std::uint64_t head = ring.sender->ring().head();
    std::string payload(500, '\0');
    for (std::size_t i = 0; i + 8 <= payload.size(); i += 8) {
      const std::uint64_t grain = (head + 16 + i) / kGrain * kGrain;
      const std::uint64_t forged =
          PublishWord{.size = 1, .tag = tag_of(grain + 4096), .type = 7}.pack();
      std::memcpy(payload.data() + i, &forged, sizeof forged);
    }
    const Spacing spacing = round % 3 == 0 ? Spacing::Apart : Spacing::Close;
    ASSERT_EQ(ring.send(payload, {}, spacing), Sent::Ok);
    ASSERT_EQ(ring.take(), payload);
    ASSERT_EQ(ring.take(), std::nullopt) << "round " << round;
    ASSERT_EQ(ring.receiver->ring().breach(), Breach::None);
  }
}

TEST(Ring, ALoanThatWasForgottenOverTheZeroForTheNextLongMessageLeavesNothingBehind) {
  Pair ring;
  const std::string message(1100, 'm');
  for (int round = 0; round < 100; ++round) {
    ASSERT_EQ(ring.send(message), Sent::Ok); // and a 0 where the next one of this length ends
    ASSERT_EQ(ring.take(), message);
    std::span<std::byte> forgotten;
    ASSERT_EQ(ring.sender->ring().loan(2500, {}, forgotten), Sent::Ok);
    std::memset(forgotten.data(), 0xFF, forgotten.size());
    ASSERT_EQ(ring.send(message), Sent::Ok);
    ASSERT_EQ(ring.take(), message);
    ASSERT_EQ(ring.take(), std::nullopt);
    ASSERT_EQ(ring.receiver->ring().breach(), Breach::None);
  }
}

TEST(Ring, ALoanThatWasFilledAndForgottenLeavesNothingBehind) {
  Pair ring;
  for (int round = 0; round < 100; ++round) {
    std::span<std::byte> forgotten;
    ASSERT_EQ(ring.sender->ring().loan(1000, {}, forgotten), Sent::Ok);
    std::memset(forgotten.data(), 0xFF, forgotten.size());
    ASSERT_EQ(ring.send("short"), Sent::Ok);
    ASSERT_EQ(ring.take(), "short");
    ASSERT_EQ(ring.take(), std::nullopt);
    ASSERT_EQ(ring.receiver->ring().breach(), Breach::None);
  }
}

TEST(Ring, ASuccessorOfTheSenderGoesOnBehindTheLastPublishedRecord) {
  Pair ring;
  for (int i = 0; i < 40; ++i) {
    ring.send("warm up");
    ring.take();
  }
  ring.send("before");
  std::span<std::byte> torn;
  ASSERT_EQ(ring.sender->ring().loan(100, {.correlation = 5}, torn), Sent::Ok);
  std::memset(torn.data(), 0xFF, torn.size()); // dies here: filled, never published
  ring.new_sender(2);
  ring.send("after", {.correlation = 6});
  EXPECT_EQ(ring.take(), "before");
  View view;
  ASSERT_EQ(ring.receiver->next(view), Got::Message);
  EXPECT_EQ(text_of(view.payload), "after");
  EXPECT_EQ(view.info.generation, 2U);
}

TEST(Ring, ASuccessorOfTheReceiverGetsWhatWasNotReleased) {
  Pair ring;
  for (const char* text : {"done", "in flight", "unread"}) ring.send(text);
  EXPECT_EQ(ring.take(), "done");
  View view;
  ASSERT_EQ(ring.receiver->next(view), Got::Message); // dies while it handles this one
  ring.new_receiver();
  EXPECT_EQ(ring.take(), "in flight");
  EXPECT_EQ(ring.take(), "unread");
  EXPECT_EQ(ring.take(), std::nullopt);
}

TEST(Ring, AnySequenceOfSendsAndReceivesKeepsEveryByte) {
  std::mt19937 random(1);
  Pair ring;
  std::deque<std::string> expected;
  for (int step = 0; step < 200'000; ++step) {
    if (random() % 500 == 0) ring.new_sender(static_cast<std::uint32_t>(random()));
    if (random() % 500 == 0) ring.new_receiver();
    if (random() % 2 == 0) {
      std::string text(random() % (random() % 8 == 0 ? 3000 : 200),
                       static_cast<char>('a' + random() % 26));
      const bool extended = random() % 2 == 0;
      const Spacing spacing = random() % 2 == 0 ? Spacing::Close : Spacing::Apart;
      if (ring.send(text, {.correlation = extended ? 1U : 0U}, spacing) == Sent::Ok)
        expected.push_back(std::move(text));
    } else {
      const auto got = ring.take();
      ASSERT_EQ(got.has_value(), !expected.empty());
      if (!got) continue;
      ASSERT_EQ(*got, expected.front());
      expected.pop_front();
    }
  }
  EXPECT_EQ(ring.sender->ring().breach(), Breach::None);
  EXPECT_EQ(ring.receiver->ring().breach(), Breach::None);
}

TEST(Ring, WorksAcrossTheEndOfTheNumbers) {
  Pair ring;
  const testing::Writable memory(ring);
  memory.control()->tail = 0 - std::uint64_t{3 * kGrain};
  *memory.word(memory.control()->tail) = 0;
  ring.new_sender();
  ring.new_receiver();
  for (int i = 0; i < 300; ++i) {
    ASSERT_EQ(ring.send(std::to_string(i)), Sent::Ok);
    ASSERT_EQ(ring.take(), std::to_string(i));
  }
  EXPECT_LT(ring.sender->ring().head(), 300 * kPair);
}

// --- waking ---

TEST(RingWaking, ASenderRingsOncePerSleepOfTheReceiver) {
  Pair ring;
  RingSender& sender = ring.sender->ring();
  ring.send("awake");
  EXPECT_FALSE(sender.must_wake());
  ring.receiver->ring().arm();
  EXPECT_TRUE(sender.must_wake());
  EXPECT_FALSE(sender.must_wake()); // the same sleep
  ring.receiver->ring().disarm();
  EXPECT_FALSE(sender.must_wake());
  ring.receiver->ring().arm();
  EXPECT_TRUE(sender.must_wake());
}

TEST(RingWaking, AReceiverRingsASleepingSenderForAStretchOfSpaceOrWhenEmpty) {
  Pair ring;
  while (ring.send("fill") == Sent::Ok) {
  }
  ring.sender->ring().arm();
  RingReceiver& receiver = ring.receiver->ring();
  View view;
  int released = 0;
  bool woken = false;
  while (!woken && receiver.next(view) == Got::Message) {
    receiver.release(view);
    ++released;
    woken = receiver.must_wake(false);
  }
  EXPECT_TRUE(woken);
  EXPECT_EQ(released, 4); // an eighth of 32
  ring.sender->ring().disarm();
  ring.sender->ring().arm();
  while (receiver.next(view) == Got::Message) receiver.release(view);
  EXPECT_TRUE(receiver.must_wake(true));
}

TEST(RingWaking, ASuccessorIsNotTakenForAsleepBecauseItsPredecessorWas) {
  Pair ring;
  ring.receiver->ring().arm();
  ring.sender->ring().arm();
  ring.new_receiver();
  ring.new_sender();
  const testing::Writable memory(ring);
  EXPECT_EQ(memory.control()->armed % 2, 0U);
  EXPECT_EQ(memory.header()->waiting % 2, 0U);
}

} // namespace
} // namespace mohhos::ipc
