#include <gtest/gtest.h>

#include "ipc/memory_book.hpp"

namespace mohhos::ipc {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr PluginId kMaker{1};
constexpr PluginId kReader{2};

class Book : public ::testing::Test {
protected:
  static MakeMemory wish(std::uint64_t bytes, std::uint32_t sequence) {
    MakeMemory question;
    question.header.sequence = sequence;
    question.bytes = bytes;
    return question;
  }
  static ChannelRecord channel(std::uint64_t id = 5, PluginId from = kMaker,
                               PluginId to = kReader) {
    return {.channel = id, .sender = from.value, .receiver = to.value};
  }
  static SendMemory with(std::uint64_t memory, std::uint64_t message, std::uint64_t channel = 5) {
    SendMemory question;
    question.channel_id = channel;
    question.message_id = message;
    question.memory = memory;
    return question;
  }
  static ReleaseMemory release_of(const SendMemory& sent) {
    ReleaseMemory record;
    record.channel_id = sent.channel_id;
    record.message_id = sent.message_id;
    record.memory = sent.memory;
    return record;
  }
  std::uint64_t make(std::uint64_t bytes = kMiB, PluginId maker = kMaker) {
    const auto record = book.make(maker, wish(bytes, ++asked), 0);
    EXPECT_TRUE(record) << record.error().text;
    return record ? record->memory : 0;
  }
  Code send(const SendMemory& question, const ChannelRecord& on = channel()) {
    const auto may = book.may_send(question, on);
    if (!may) return may.error().code;
    (void)book.send(question, on);
    return Code{};
  }
  void drop(std::uint64_t memory, PluginId maker = kMaker) {
    ReleaseMemory record;
    record.memory = memory;
    book.release(maker, record);
  }

  MemoryBook book;
  std::uint32_t asked = 0;
};

TEST_F(Book, TheSameQuestionGetsTheSameMemory) {
  const auto first = book.make(kMaker, wish(kMiB, 7), 0);
  const auto again = book.make(kMaker, wish(kMiB, 7), 0);
  const auto other = book.make(kReader, wish(kMiB, 7), 0);
  ASSERT_TRUE(first && again && other);
  EXPECT_EQ(first->memory, again->memory);
  EXPECT_NE(first->memory, other->memory);
  EXPECT_EQ(book.memories().size(), 2U);
}

TEST_F(Book, WhoMakesIsLimitedInNumberAndInBytes) {
  EXPECT_EQ(book.make(kMaker, wish(0, 1), 0).error().code, Code::Invalid);
  EXPECT_EQ(book.make(kMaker, wish(UINT64_MAX, 1), 0).error().code, Code::TooLarge);
  EXPECT_EQ(book.make(kMaker, wish(2 * kMiB, 1), kMiB).error().code, Code::TooLarge);
  EXPECT_EQ(book.make(kMaker, wish(kMaxMemory + 1, 1), UINT64_MAX).error().code, Code::TooLarge);
  std::vector<std::uint64_t> all;
  for (std::uint32_t i = 0; i < MemoryLimits{}.made_per_party; ++i) all.push_back(make(4096));
  EXPECT_EQ(book.make(kMaker, wish(4096, 1000), 0).error().code, Code::Exhausted);
  EXPECT_TRUE(book.make(kReader, wish(4096, 1), 0)); // others have their own
  drop(all.front());
  EXPECT_TRUE(book.make(kMaker, wish(4096, 1001), 0));
  EXPECT_TRUE(book.make({9}, wish(3 * kMiB, 1), 4 * kMiB));
  EXPECT_EQ(book.make({9}, wish(2 * kMiB, 2), 4 * kMiB).error().code, Code::Exhausted);
}

TEST_F(Book, AllTogetherAreLimitedToo) {
  MemoryLimits few;
  few.memories = 3;
  book = MemoryBook(few);
  for (std::uint64_t i = 1; i <= 3; ++i) (void)make(4096, {i});
  EXPECT_EQ(book.make({4}, wish(4096, 1), 0).error().code, Code::Exhausted);
  few.memories = 100;
  few.bytes = 2 * kMiB;
  book = MemoryBook(few);
  (void)make(2 * kMiB - 1);
  EXPECT_EQ(book.make({4}, wish(2, 1), 0).error().code, Code::Exhausted);
}

TEST_F(Book, OnlyItsMakerMaySendIt) {
  const std::uint64_t memory = make();
  EXPECT_EQ(send(with(memory, 1), channel(6, kReader, kMaker)), Code::NotFound);
  EXPECT_EQ(send(with(memory + 1, 1)), Code::NotFound);
  EXPECT_EQ(send(with(memory, 0)), Code::Invalid);
  EXPECT_EQ(send(with(memory, 1)), Code{});
  drop(memory, kReader); // not the reader's to drop
  EXPECT_EQ(send(with(memory, 2)), Code{});
  drop(memory);
  EXPECT_EQ(send(with(memory, 3)), Code::NotFound);
}

TEST_F(Book, AReceiverThatLetsNothingGoCostsItsSendersNothingElse) {
  const std::uint64_t memory = make();
  const MemoryLimits limits;
  for (std::uint64_t i = 1; i <= limits.sent_per_pair; ++i)
    ASSERT_EQ(send(with(memory, i)), Code{});
  EXPECT_EQ(send(with(memory, 100)), Code::Exhausted);
  EXPECT_EQ(send(with(memory, 1)), Code{}) << "asked once more";
  EXPECT_EQ(send(with(memory, 1, 6), channel(6, kMaker, {3})), Code{});
  EXPECT_TRUE(book.make(kMaker, wish(kMiB, 500), 0));
  book.release(kReader, release_of(with(memory, 1)));
  EXPECT_EQ(send(with(memory, 100)), Code{});
}

TEST_F(Book, OneSenderLeavesRoomForOthersAndManyAreLimited) {
  const MemoryLimits limits;
  std::uint32_t sent = 0;
  for (std::uint64_t from = 10; from < 20; ++from) {
    const std::uint64_t memory = make(4096, {from});
    for (std::uint64_t i = 1;; ++i) {
      const auto question = with(memory, i, from);
      if (send(question, channel(from, {from}, kReader)) != Code{}) break;
      ++sent;
    }
  }
  EXPECT_EQ(sent, limits.sent_per_receiver);
  const std::uint64_t late = make(4096, {30});
  EXPECT_EQ(send(with(late, 1, 30), channel(30, {30}, kReader)), Code::Exhausted);
}

TEST_F(Book, BytesOnTheirWayAreLimited) {
  MemoryLimits limits;
  limits.sent_bytes_per_pair = 3 * kMiB;
  limits.sent_bytes_per_receiver = 4 * kMiB;
  book = MemoryBook(limits);
  const std::uint64_t memory = make(2 * kMiB);
  EXPECT_EQ(send(with(memory, 1)), Code{});
  EXPECT_EQ(send(with(memory, 2)), Code::Exhausted);
  const std::uint64_t other = make(2 * kMiB, {3});
  EXPECT_EQ(send(with(other, 1, 6), channel(6, {3}, kReader)), Code{});
  const std::uint64_t third = make(1, {4});
  EXPECT_EQ(send(with(third, 1, 7), channel(7, {4}, kReader)), Code::Exhausted);
}

TEST_F(Book, AMemoryEndsWhenNobodyNeedsItAnyMore) {
  const std::uint64_t memory = make();
  ASSERT_EQ(send(with(memory, 1)), Code{});
  ASSERT_EQ(send(with(memory, 1, 6), channel(6, kMaker, {3})), Code{});
  drop(memory);
  EXPECT_TRUE(book.take_unused().empty());
  book.release(kMaker, release_of(with(memory, 1))); // only its receiver may say so
  book.release(kReader, release_of(with(memory, 1)));
  EXPECT_TRUE(book.take_unused().empty());
  book.release({3}, release_of(with(memory, 1, 6)));
  EXPECT_EQ(book.take_unused(), std::vector{memory});
  EXPECT_TRUE(book.empty());
}

TEST_F(Book, WhatTheDeadHadIsForgottenAndWhatTheySentIsNot) {
  const std::uint64_t sent = make();
  const std::uint64_t kept = make();
  ASSERT_EQ(send(with(sent, 1)), Code{});
  book.sweep([](PluginId) { return false; }, [](const Passage&) { return true; });
  EXPECT_EQ(book.take_unused(), std::vector{kept});
  EXPECT_EQ(book.passages({5}).size(), 1U);
  book.sweep([](PluginId) { return true; },
             [](const Passage& passage) { return passage.channel != 5; });
  EXPECT_EQ(book.take_unused(), std::vector{sent});
}

TEST_F(Book, GivesWhatGoesWithAChannelsMessagesInTheirOrder) {
  const std::uint64_t one = make();
  const std::uint64_t other = make();
  (void)send(with(other, 2));
  (void)send(with(one, 9));
  (void)send(with(one, 1, 6), channel(6, kMaker, {3}));
  (void)send(with(other, 7));
  std::vector<std::uint64_t> messages;
  for (const Passage& passage : book.passages({5})) messages.push_back(passage.message);
  EXPECT_EQ(messages, (std::vector<std::uint64_t>{2, 7, 9}));
}

TEST_F(Book, ComesBackAsItWasSaved) {
  const std::uint64_t memory = make();
  (void)make(4096, {3});
  (void)send(with(memory, 4));
  drop(memory);
  const auto saved = book.save();
  MemoryBook again;
  ASSERT_TRUE(again.restore(saved));
  EXPECT_EQ(again.save(), saved);
  EXPECT_EQ(again.passages({5}), book.passages({5}));
  const auto next = again.make(kMaker, wish(4096, 99), 0);
  ASSERT_TRUE(next);
  EXPECT_GT(next->memory, memory + 1);
}

TEST_F(Book, RefusesWhatItHasNotSavedAndStaysEmpty) {
  const std::uint64_t memory = make();
  (void)send(with(memory, 4));
  const auto saved = book.save();
  for (std::size_t size = 0; size < saved.size(); ++size) {
    MemoryBook other;
    EXPECT_FALSE(other.restore(std::span(saved).first(size))) << size;
    EXPECT_TRUE(other.empty());
  }
  for (std::size_t at = 0; at < saved.size(); ++at) {
    auto bent = saved;
    bent[at] ^= std::byte{0xFF};
    MemoryBook other;
    if (other.restore(bent)) (void)other.take_unused(); // a verdict, and no crash
  }
}

} // namespace
} // namespace mohhos::ipc
