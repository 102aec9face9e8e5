// The journal's thread beside a loop, over rings whose ends are as hostile as they like.
#include "manager/journal.hpp"

#include <atomic>
#include <cstring>
#include <iterator>
#include <random>
#include <thread>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../../harness/temporary_directory.hpp"
#include "ipc/channel.hpp"
#include "ipc/layout.hpp"
#include "loop_thread.hpp"
#include "sys/mapping.hpp"

namespace mohhos::manager {
namespace {

namespace fs = std::filesystem;
using test::LoopThread;

constexpr std::uint64_t kRing = 65'536;

class JournalTest : public testing::Test {
protected:
  JournalTest() {
    open(1);
    memory = *ipc::make_channel_memory(kRing);
    sender.emplace(*ipc::SendingChannel::attach(*ipc::make_sender_end(memory), kRing, 1,
                                                ipc::ChannelOptions{}));
  }
  ~JournalTest() override { close(); }
  void close() {
    thread.run([&] { journal.reset(); });
  }
  // Returns what it found of this life.
  std::vector<LogInfo> open(std::uint64_t life) {
    close();
    return thread.wait_for<std::vector<LogInfo>>([&](std::promise<std::vector<LogInfo>>& found) {
      journal = *Journal::open(
          thread.loop, {.directory = top / "journal", .limits = {.per_log = 1 << 20}, .life = life},
          [&](const std::vector<LogInfo>& logs) { found.set_value(logs); },
          [](const std::string& text) { ADD_FAILURE() << text; });
    });
  }
  void attach(std::uint64_t channel = 7) {
    thread.run([&] {
      journal->attach({.info = info(channel),
                       .data = *memory.data.duplicate(),
                       .control = *memory.control.duplicate()});
    });
  }
  static LogInfo info(std::uint64_t channel) {
    return {.life = 1,
            .channel = channel,
            .ring_bytes = kRing,
            .sender_type = 6,
            .sender = "from",
            .receiver = "to"};
  }
  void send(std::string_view text, bool durable = true) {
    std::span<std::byte> space;
    ASSERT_EQ(
        sender->ring().loan(static_cast<std::uint32_t>(text.size()), {.durable = durable}, space),
        ipc::RingSender::Outcome::Ok);
    std::memcpy(space.data(), text.data(), text.size());
    sender->commit();
  }
  Result<> sync(std::uint64_t upto, std::uint64_t channel = 7) {
    return thread.wait_for<Result<>>([&](std::promise<Result<>>& answer) {
      journal->sync({channel}, upto, [&](Result<> result) { answer.set_value(std::move(result)); });
    });
  }
  std::vector<Leftovers> leftovers(const std::set<std::uint64_t>& open = {}) {
    using Groups = std::vector<Leftovers>;
    return thread.wait_for<Groups>([&](std::promise<Groups>& answer) {
      journal->find_leftovers("to", open, [&](const Groups& groups) { answer.set_value(groups); });
    });
  }
  // Everything is gone but the disk; how many messages come again.
  std::uint64_t count_after_power_loss() {
    open(2);
    std::uint64_t count = 0;
    for (const Leftovers& group : leftovers()) count += group.messages;
    return count;
  }

  test::TemporaryDirectory scratch{test::fast_place()};
  const fs::path& top = scratch.path();
  LoopThread thread;
  ipc::ChannelMemory memory;
  std::optional<ipc::SendingChannel> sender;
  std::unique_ptr<Journal> journal; // only the thread touches it
};

TEST_F(JournalTest, KeepsTheDurableOnes) {
  attach();
  send("one");
  send("in passing", false);
  send("two");
  ASSERT_TRUE(sync(sender->ring().head()));
  ASSERT_TRUE(sync(sender->ring().head())); // again, at no cost
  EXPECT_EQ(count_after_power_loss(), 2U);
}

TEST_F(JournalTest, RefusesAPlaceThatNothingWasSentTo) {
  attach();
  send("one");
  EXPECT_EQ(sync(sender->ring().head() + 64).error().code, Code::Invalid);
  EXPECT_EQ(sync(1).error().code, Code::Invalid);
  EXPECT_EQ(sync(std::uint64_t{1} << 63).error().code, Code::Invalid);
  EXPECT_EQ(sync(64, 8).error().code, Code::PeerGone); // a channel that it does not know
  EXPECT_TRUE(sync(sender->ring().head()));
  EXPECT_EQ(count_after_power_loss(), 1U); // once, whatever was asked before
}

// A sender that goes on writing records ahead of the journal, over those that nobody has
// acknowledged, would have it read without end.
TEST_F(JournalTest, ReadsNoFurtherThanTheRingReaches) {
  attach();
  const auto mapped =
      *sys::map_shared(memory.data.get(), 0, ipc::kHeaderPage + kRing, sys::Access::ReadWrite);
  std::atomic<bool> stop = false;
  std::thread hostile([&] { // every 32 bytes are always a record, of one lap or the next
    for (std::uint64_t lap = 0; !stop; ++lap)
      for (std::uint64_t at = 0; at < kRing; at += 2 * ipc::kGrain) {
        const ipc::PublishWord word{
            .size = 1, .tag = ipc::tag_of(lap * kRing + at), .type = 7, .flags = 1};
        auto* const line = reinterpret_cast<std::uint64_t*>(mapped.data() + ipc::kHeaderPage + at);
        __atomic_store_n(line, word.pack(), __ATOMIC_RELAXED);
      }
  });
  for (const std::uint64_t upto : {kRing + 64, std::uint64_t{1} << 40, ~std::uint64_t{63}}) {
    const auto result = sync(upto);
    EXPECT_FALSE(result);
    if (!result) {
      EXPECT_NE(result.error().text.find("further ahead"), std::string::npos)
          << result.error().text;
    }
  }
  stop = true;
  hostile.join();
}

// The largest record that a ring can hold costs its sender a word: nothing of it is read before it
// is known that there is room.
TEST_F(JournalTest, DoesNotReadWhatItWillNotKeep) {
  constexpr std::uint64_t kHuge = std::uint64_t{1} << 30;
  const ipc::ChannelMemory huge = ipc::make_channel_memory(kHuge).value();
  const ipc::PublishWord word{.size = static_cast<std::uint32_t>(ipc::largest_payload(kHuge)),
                              .tag = ipc::tag_of(0),
                              .type = 7,
                              .flags = ipc::kDurable | 1};
  const std::uint64_t raw = word.pack();
  ASSERT_EQ(::pwrite(huge.data.get(), &raw, sizeof raw, ipc::kHeaderPage), ssize_t{sizeof raw});
  LogInfo one = info(8);
  one.ring_bytes = kHuge;
  thread.run([&] {
    journal->attach(
        {.info = one, .data = *huge.data.duplicate(), .control = *huge.control.duplicate()});
  });
  rusage before{};
  rusage after{};
  ::getrusage(RUSAGE_SELF, &before);
  const auto result = sync(word.end(0), 8);
  ::getrusage(RUSAGE_SELF, &after);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::Exhausted) << result.error().text;
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 64 << 10); // KiB
}

// Opened, written, synced and closed, over and over, beside a receiver that reads nothing.
TEST_F(JournalTest, HoldsFewRingsThatHaveEnded) {
  const auto descriptors = [] {
    const fs::directory_iterator all("/proc/self/fd");
    return std::ranges::distance(begin(all), end(all));
  };
  const auto before = descriptors();
  for (std::uint64_t channel = 100; channel < 200; ++channel) {
    memory = *ipc::make_channel_memory(kRing);
    sender.emplace(*ipc::SendingChannel::attach(*ipc::make_sender_end(memory), kRing, 1,
                                                ipc::ChannelOptions{}));
    attach(channel);
    send("one");
    ASSERT_TRUE(sync(sender->ring().head(), channel));
    thread.run([&] { journal->ended({channel}); });
  }
  EXPECT_FALSE(sync(64, 1)); // answered after all that was asked before
  EXPECT_LT(descriptors() - before, 50);
  EXPECT_EQ(count_after_power_loss(), 100U); // nothing is lost by it
}

TEST_F(JournalTest, BearsAFlood) {
  attach();
  send("one");
  std::size_t done = 0;
  std::size_t refused = 0;
  thread.wait_for<bool>([&](std::promise<bool>& all) {
    for (int i = 0; i < 1000; ++i)
      journal->sync({7}, 64, [&](const Result<>& result) {
        if (!result && result.error().code == Code::Refused) ++refused;
        if (++done == 1000) all.set_value(true);
      });
  });
  EXPECT_GE(refused, 900U);
  EXPECT_TRUE(sync(64));
}

TEST_F(JournalTest, GoesOnWithItsLogWhenTheManagerWasReplaced) {
  attach();
  send("one");
  ASSERT_TRUE(sync(sender->ring().head()));
  const auto found = open(1);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0], info(7));
  attach();
  send("two");
  ASSERT_TRUE(sync(sender->ring().head()));
  EXPECT_EQ(count_after_power_loss(), 2U);
}

TEST_F(JournalTest, WhatTheReceiverIsDoneWithIsGone) {
  attach();
  auto receiver = *ipc::ReceivingChannel::attach(*ipc::make_receiver_end(memory), kRing);
  for (int i = 0; i < 4; ++i) send("x");
  ASSERT_TRUE(sync(sender->ring().head()));
  for (int i = 0; i < 3; ++i) {
    ipc::View view;
    ASSERT_EQ(receiver.next(view), ipc::RingReceiver::Outcome::Message);
    receiver.release(view);
  }
  EXPECT_EQ(count_after_power_loss(), 1U); // it looks once more when it ends
}

TEST_F(JournalTest, WhatARingHoldsIsNotLeftOver) {
  attach();
  send("x");
  ASSERT_TRUE(sync(sender->ring().head()));
  EXPECT_TRUE(leftovers({7}).empty());
  thread.run([&] { journal->ended({7}); });
  EXPECT_EQ(leftovers().size(), 1U); // its receiver is a new process: nobody has the old ring
}

TEST_F(JournalTest, PutsThemIntoANewRingInOrderAndFlagged) {
  attach();
  for (int i = 0; i < 100; ++i) send(std::to_string(i));
  ASSERT_TRUE(sync(sender->ring().head()));
  open(2);
  auto groups = leftovers();
  ASSERT_EQ(groups.size(), 1U);
  memory = *ipc::make_channel_memory(groups[0].ring_bytes);
  LogInfo into = info(1);
  into.life = 2;
  into.ring_bytes = groups[0].ring_bytes;
  using Count = Result<std::uint64_t>;
  const Count count = thread.wait_for<Count>([&](std::promise<Count>& answer) {
    journal->restore(
        groups[0],
        {.info = into, .data = *memory.data.duplicate(), .control = *memory.control.duplicate()},
        [&](Count result) { answer.set_value(std::move(result)); });
  });
  ASSERT_TRUE(count) << count.error().text;
  EXPECT_EQ(*count, 100U);
  auto receiver = *ipc::ReceivingChannel::attach(*ipc::make_receiver_end(memory), into.ring_bytes);
  for (int i = 0; i < 100; ++i) {
    ipc::View view;
    ASSERT_EQ(receiver.next(view), ipc::RingReceiver::Outcome::Message);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(view.payload.data()), view.payload.size()),
              std::to_string(i));
    EXPECT_TRUE(view.info.redelivered);
    receiver.release(view);
  }
  open(3); // the one before writes down that all is done
  EXPECT_TRUE(leftovers().empty());
}

// The sender turns its records over while the journal reads them: whatever that gives, it is an
// answer, and what is kept is a message.
TEST_F(JournalTest, ASenderThatRewritesItsRecordsIsAnswered) {
  attach();
  for (int i = 0; i < 200; ++i) send(std::string(100, 'x'));
  const std::uint64_t head = sender->ring().head();
  auto mapped =
      *sys::map_shared(memory.data.get(), 0, ipc::kHeaderPage + kRing, sys::Access::ReadWrite);
  std::atomic<bool> stop = false;
  std::thread hostile([&] {
    std::mt19937_64 random(1);
    while (!stop) {
      const std::uint64_t position = random() % (kRing / 8) * 8;
      auto* word = reinterpret_cast<std::uint64_t*>(mapped.data() + ipc::kHeaderPage + position);
      __atomic_fetch_xor(word, std::uint64_t{1} << random() % 64, __ATOMIC_RELAXED);
    }
  });
  for (int i = 0; i < 200; ++i) {
    const auto result = sync(head);
    if (!result) {
      EXPECT_TRUE(result.error().code == Code::Malformed || result.error().code == Code::Invalid ||
                  result.error().code == Code::Exhausted)
          << result.error().text;
    }
  }
  stop = true;
  hostile.join();
  EXPECT_LE(count_after_power_loss(), 2 * kRing / ipc::kGrain);
}

} // namespace
} // namespace mohhos::manager
