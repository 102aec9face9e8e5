// Burying beside a loop, on a disk that may hang: this program has its own fsync() and fdatasync().
#include "manager/letter_keeper.hpp"

#include <condition_variable>
#include <cstddef>
#include <fstream>
#include <mutex>

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../harness/temporary_directory.hpp"
#include "../ipc/ring_memory.hpp"
#include "ipc/remains.hpp"
#include "loop_thread.hpp"

namespace mohhos::manager {
namespace {

using ipc::testing::Pair;
using test::LoopThread;

class Disk {
public:
  void flush() {
    std::unique_lock lock(mutex_);
    ++flushes_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return !hangs_; });
    const auto on_flush = std::exchange(on_next_flush, nullptr);
    lock.unlock();
    if (on_flush) on_flush();
  }
  void hang(bool hangs) {
    const std::scoped_lock lock(mutex_);
    hangs_ = hangs;
    changed_.notify_all();
  }
  // Until somebody waits for it that had not when hang() was called.
  void await_flush() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return flushes_ != 0; });
  }
  void begin() {
    const std::scoped_lock lock(mutex_);
    flushes_ = 0;
  }
  std::function<void()> on_next_flush;

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool hangs_ = false;
  int flushes_ = 0;
};
Disk disk;

class LetterKeeperTest : public testing::Test {
protected:
  using Buried = Result<std::optional<LetterHead>>;
  LetterKeeperTest() {
    disk.begin();
    open();
  }
  ~LetterKeeperTest() override { close(); }
  void close() {
    thread.run([&] { keeper.reset(); });
  }
  void open() {
    close();
    std::vector<std::string> problems;
    thread.run([&] {
      keeper = *LetterKeeper::open(thread.loop, DeadLetters::open(directory, {}, problems));
    });
    EXPECT_TRUE(problems.empty());
  }
  // The receiver dies with this in hand.
  void die_of(std::string_view text) {
    EXPECT_EQ(pair.send(text), ipc::RingSender::Outcome::Ok);
    ipc::View view;
    EXPECT_EQ(pair.receiver->next(view), ipc::RingReceiver::Outcome::Message);
    pair.receiver.reset();
  }
  [[nodiscard]] LeftRing ring() const {
    LeftRing left{.head = {},
                  .data = *pair.memory.data.duplicate(),
                  .control = *pair.memory.control.duplicate(),
                  .ring_bytes = pair.capacity};
    left.head.to = "phoenix";
    left.head.from = "feeder";
    left.head.epoch = 5;
    left.head.channel = {6};
    return left;
  }
  [[nodiscard]] std::uint64_t tail() const {
    return ipc::Remains(pair.memory.data.get(), pair.memory.control.get(), pair.capacity)
        .progress()
        ->tail;
  }
  Buried bury(std::uint64_t position) {
    return thread.wait_for<Buried>([&](std::promise<Buried>& answer) {
      keeper->bury(ring(), position, [&](Buried buried) { answer.set_value(std::move(buried)); });
    });
  }
  UnreadBuried bury_unread(std::uint64_t durable_before = 0) {
    return thread.wait_for<UnreadBuried>([&](std::promise<UnreadBuried>& answer) {
      std::vector<LeftRing> rings;
      rings.push_back(ring());
      rings.back().durable_before = durable_before;
      keeper->bury_unread(std::move(rings),
                          [&](UnreadBuried done) { answer.set_value(std::move(done)); });
    });
  }
  std::vector<LetterHead> letters() {
    using Heads = std::vector<LetterHead>;
    return thread.wait_for<Heads>([&](std::promise<Heads>& answer) {
      keeper->list([&](Heads heads) { answer.set_value(std::move(heads)); });
    });
  }

  test::TemporaryDirectory scratch;
  std::filesystem::path directory = scratch.path() / "deadletters";
  Pair pair;
  LoopThread thread;
  std::unique_ptr<LetterKeeper> keeper; // only the thread touches it
};

TEST_F(LetterKeeperTest, TheLoopGoesOnWhileTheDiskHangsAndNothingIsSkippedBefore) {
  die_of("poison");
  disk.hang(true);
  std::promise<Buried> answer;
  std::future<Buried> buried = answer.get_future();
  thread.run(
      [&] { keeper->bury(ring(), 0, [&](Buried done) { answer.set_value(std::move(done)); }); });
  disk.await_flush();
  thread.run([] {}); // the loop does what else there is to do
  EXPECT_EQ(tail(), 0U) << "skipped before it was on disk";
  disk.hang(false);
  const Buried done = buried.get();
  ASSERT_TRUE(done && *done);
  EXPECT_EQ((*done)->id, 1U);
  EXPECT_EQ(tail(), pair.sender->ring().head());
}

TEST_F(LetterKeeperTest, WhatCannotBeWrittenIsNotSkipped) {
  die_of("poison");
  std::ofstream(directory) << "a file where the store should be";
  EXPECT_FALSE(bury(0));
  EXPECT_EQ(tail(), 0U);
}

TEST_F(LetterKeeperTest, WhatIsNoMessageIsNotBuried) {
  const Buried done = bury(0);
  ASSERT_TRUE(done);
  EXPECT_FALSE(*done);
  EXPECT_TRUE(letters().empty());
}

TEST_F(LetterKeeperTest, AManagerThatDiesBeforeItIsSkippedIsFollowedByOneThatSkipsTheSame) {
  die_of("poison");
  ASSERT_TRUE(bury(0));
  const std::uint64_t never = 0;
  ASSERT_EQ(::pwrite(pair.memory.control.get(), &never, sizeof never,
                     static_cast<off_t>(offsetof(ipc::Control, buried))),
            static_cast<ssize_t>(sizeof never));
  ASSERT_EQ(tail(), 0U);
  open();
  const Buried again = bury(0);
  ASSERT_TRUE(again && *again);
  EXPECT_EQ((*again)->id, 1U);
  EXPECT_EQ(letters().size(), 1U);
  EXPECT_NE(tail(), 0U);
}

TEST_F(LetterKeeperTest, BuriesWhatIsSentWhileItWritesToo) {
  for (const char* text : {"a", "b"}) ASSERT_EQ(pair.send(text), ipc::RingSender::Outcome::Ok);
  disk.on_next_flush = [&] { EXPECT_EQ(pair.send("c"), ipc::RingSender::Outcome::Ok); };
  const UnreadBuried done = bury_unread();
  EXPECT_EQ(done.kept, 3U);
  EXPECT_EQ(done.lost, 0U);
  EXPECT_EQ(letters().size(), 3U);
  EXPECT_EQ(bury_unread().kept, 3U); // by the next manager: they are the same
  EXPECT_EQ(letters().size(), 3U);
}

TEST_F(LetterKeeperTest, LeavesToTheJournalWhatItHas) {
  ASSERT_EQ(pair.send("on disk", {.durable = true}), ipc::RingSender::Outcome::Ok);
  const std::uint64_t synced = pair.sender->ring().head();
  ASSERT_EQ(pair.send("not yet", {.durable = true}), ipc::RingSender::Outcome::Ok);
  EXPECT_EQ(bury_unread(synced).kept, 1U);
  ASSERT_EQ(letters().size(), 1U);
  EXPECT_EQ(letters()[0].position, synced);
}

} // namespace
} // namespace mohhos::manager

// The whole program's, with their C types.
extern "C" int fsync(int fd) {
  mohhos::manager::disk.flush();
  return static_cast<int>(::syscall(SYS_fsync, fd));
}
extern "C" int fdatasync(int fd) {
  mohhos::manager::disk.flush();
  return static_cast<int>(::syscall(SYS_fdatasync, fd));
}
