// A peer that does whatever its memory allows: every word it owns, any value, at any time. The
// other side must end the channel with the rule's name, and live on.
#include <csignal>
#include <random>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "ring_memory.hpp"

namespace mohhos::ipc {
namespace {

using testing::Pair;
using testing::Writable;
using Sent = RingSender::Outcome;
using Got = RingReceiver::Outcome;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kRounds = 200'000;
#else
constexpr int kRounds = 2'000'000;
#endif

// --- a hostile sender ---

Breach breach_of(std::uint64_t word) {
  Pair ring;
  *Writable(ring).word(0) = word;
  View view;
  EXPECT_EQ(ring.receiver->next(view), Got::Broken);
  EXPECT_EQ(ring.receiver->next(view), Got::Broken); // and stays so
  return ring.receiver->ring().breach();
}

TEST(HostileSender, BreaksTheChannelWithARecordOfAnotherPlaceOrLap) {
  EXPECT_EQ(breach_of(PublishWord{.size = 1, .tag = tag_of(kGrain)}.pack()), Breach::WrongTag);
  EXPECT_EQ(breach_of(PublishWord{.size = 1, .tag = tag_of(4096)}.pack()), Breach::WrongTag);
  EXPECT_EQ(breach_of(1), Breach::WrongTag);
  EXPECT_EQ(breach_of(UINT64_MAX), Breach::WrongTag);
}

TEST(HostileSender, BreaksTheChannelWithATypeOrFlagThatDoesNotExist) {
  EXPECT_EQ(breach_of(PublishWord{.tag = tag_of(0), .type = 8}.pack()), Breach::WrongType);
  EXPECT_EQ(breach_of(PublishWord{.tag = tag_of(0), .type = 255}.pack()), Breach::WrongType);
  EXPECT_EQ(breach_of(PublishWord{.tag = tag_of(0), .flags = 0x80}.pack()), Breach::WrongFlags);
}

TEST(HostileSender, BreaksTheChannelWithAnyLengthThatDoesNotFit) {
  for (const std::uint32_t size :
       {4096U - 63, 4096U - 1, 4096U, 4097U, 0x7FFFFFFFU, 0x80000000U, 0xFFFFFFF0U, 0xFFFFFFFFU})
    EXPECT_EQ(breach_of(PublishWord{.size = size, .tag = tag_of(0)}.pack()), Breach::TooLong)
        << size;
}

TEST(HostileSender, BreaksTheChannelWithARecordOverOneThatIsNotReleased) {
  Pair ring;
  ring.send(std::string(2000, 'x'));
  View held;
  ASSERT_EQ(ring.receiver->next(held), Got::Message);
  *Writable(ring).word(held.end) = PublishWord{.size = 3000, .tag = tag_of(held.end)}.pack();
  View view;
  EXPECT_EQ(ring.receiver->next(view), Got::Broken);
  EXPECT_EQ(ring.receiver->ring().breach(), Breach::Overrun);
}

TEST(HostileSender, EveryWordOfEveryKindEndsInAVerdictAndInBounds) {
  std::mt19937_64 random(7);
  Pair ring;
  const Writable memory(ring);
  std::uint64_t verdicts[3] = {};
  for (int round = 0; round < kRounds; ++round) {
    RingReceiver receiver({.header = memory.header(),
                           .map = RingMap<const std::byte>::of(
                               reinterpret_cast<const std::byte*>(memory.word(0)), 4096),
                           .control = memory.control()});
    PublishWord word = PublishWord::unpack(random());
    if (round % 2 == 0) word.tag = tag_of(receiver.tail());
    if (round % 3 != 0) word.size %= 5000;
    if (round % 5 != 0) word.type %= 9;
    if (round % 5 != 0) word.flags &= 0x1F;
    *memory.word(receiver.tail()) = word.pack();
    View view;
    const Got outcome = receiver.next(view);
    ++verdicts[static_cast<int>(outcome)];
    if (outcome != Got::Message) continue;
    const std::byte* const begin = reinterpret_cast<const std::byte*>(memory.word(0));
    ASSERT_GE(view.payload.data(), begin);
    ASSERT_LE(view.payload.data() + view.payload.size(), begin + std::ptrdiff_t{2} * 4096);
    ASSERT_LE(view.payload.size(), largest_payload(4096) + sizeof(RecordExtension));
    receiver.release(view);
  }
  EXPECT_GT(verdicts[static_cast<int>(Got::Message)], 1000U);
  EXPECT_GT(verdicts[static_cast<int>(Got::Broken)], 1000U);
}

// --- a hostile receiver ---

Breach breach_after(std::uint64_t tail) {
  Pair ring;
  for (int i = 0; i < 10; ++i) ring.send("x");
  ring.take();
  ring.take();
  while (ring.send("fill") == Sent::Ok) {
  } // the sender has seen tail = 128
  Writable(ring).control()->tail = tail;
  EXPECT_EQ(ring.send("now"), Sent::Broken);
  EXPECT_EQ(ring.send("again"), Sent::Broken);
  return ring.sender->ring().breach();
}

TEST(HostileReceiver, BreaksTheChannelWithATailThatIsNotOne) {
  EXPECT_EQ(breach_after(129), Breach::TailUnaligned);
  EXPECT_EQ(breach_after(64), Breach::TailBackwards);
  EXPECT_EQ(breach_after(0), Breach::TailBackwards);
  EXPECT_EQ(breach_after(0 - std::uint64_t{64}), Breach::TailBackwards);
  EXPECT_EQ(breach_after(1 << 20), Breach::TailBeyondHead);
  EXPECT_EQ(breach_after(std::uint64_t{1} << 62), Breach::TailBeyondHead);
}

TEST(HostileReceiver, NoTailMakesASuccessorOfTheSenderWriteOutsideOrHang) {
  std::mt19937_64 random(3);
  Pair ring(8192);
  while (ring.send("some records to walk over") == Sent::Ok) {
  }
  const Writable memory(ring);
  for (int round = 0; round < kRounds / 10; ++round) {
    std::uint64_t tail = random() >> (random() % 60);
    if (round % 4 != 0) tail &= ~std::uint64_t{kGrain - 1};
    memory.control()->tail = tail;
    RingSender sender(
        {.header = memory.header(),
         .map = RingMap<std::byte>::of(reinterpret_cast<std::byte*>(memory.word(0)), 4096),
         .control = memory.control()}, // half: the other half stands for the second mapping
        1);
    if (tail % kGrain != 0) {
      ASSERT_EQ(sender.breach(), Breach::TailUnaligned);
      continue;
    }
    ASSERT_LE(sender.head() - tail, 4096 - kGrain);
    std::span<std::byte> space;
    if (sender.loan(100, {}, space) == Sent::Ok) sender.commit();
  }
}

TEST(HostileReceiver, IsLentNothingOnceItIsCondemnedWhateverItAcknowledgesLater) {
  Pair ring;
  RingSender& sender = ring.sender->ring();
  for (int i = 0; i < 8; ++i) ASSERT_EQ(ring.send("x"), Sent::Ok);
  std::span<std::byte> space;
  ASSERT_EQ(sender.loan(8, {}, space), Sent::Ok);
  sender.condemn(Breach::BellStorm);
  EXPECT_EQ(ring.take(), "x");
  sender.commit(); // the one behind which the sender looks at the tail
  EXPECT_EQ(sender.loan(8, {}, space), Sent::Broken);
  EXPECT_EQ(sender.breach(), Breach::BellStorm);
}

// --- both at once, from another process ---

// A process that writes random words all over both memories until it is killed.
pid_t start_scribbler(const Writable& memory) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  std::uint64_t x = 88172645463325252ULL;
  auto* const control = reinterpret_cast<volatile std::uint64_t*>(memory.control_page.data());
  auto* const data = reinterpret_cast<volatile std::uint64_t*>(memory.data.data());
  for (;;) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    const std::uint64_t grain = x >> 32 & 255;
    const std::uint64_t value =
        (x & 4) != 0 ? PublishWord{.size = static_cast<std::uint32_t>(x >> 40 & 0xFFF),
                                   .tag = tag_of(grain * kGrain),
                                   .type = static_cast<std::uint8_t>(x >> 20 & 7),
                                   .flags = static_cast<std::uint8_t>(x >> 24 & 0x4F)}
                           .pack()
                     : x;
    switch (x & 3) {
    case 0: control[8] = x & ~std::uint64_t{15}; break; // tail
    case 1: control[16] = x; break;                     // armed
    default: data[kHeaderPage / 8 + grain * 2 + (x >> 50 & 1)] = value; break;
    }
  }
}

TEST(HostilePeer, AnotherProcessThatRewritesEverySharedWordCannotHurtEitherSide) {
  Pair ring;
  const Writable memory(ring);
  const pid_t scribbler = start_scribbler(memory);
  ASSERT_GT(scribbler, 0);
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
  for (int round = 0; round < kRounds; ++round) {
    if (ring.sender->ring().breach() != Breach::None) ring.new_sender();
    if (ring.receiver->ring().breach() != Breach::None) ring.new_receiver();
    (void)ring.send("a message that the peer will try to spoil");
    (void)ring.sender->ring().must_wake();
    View view;
    if (ring.receiver->next(view) != Got::Message) continue;
    ASSERT_LE(view.payload.size(), largest_payload(4096) + sizeof(RecordExtension));
    const std::string copy = testing::text_of(view.payload); // every byte is there to be read
    bytes += copy.size();
    ++messages;
    ring.receiver->release(view);
  }
  ::kill(scribbler, SIGKILL);
  int status = 0;
  ASSERT_EQ(::waitpid(scribbler, &status, 0), scribbler);
  EXPECT_TRUE(WIFSIGNALED(status)) << "it died by itself";
  EXPECT_GT(messages, 0U);
}

} // namespace
} // namespace mohhos::ipc
