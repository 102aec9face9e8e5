// Asking for durable messages to be on disk.
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "endpoints.hpp"

namespace mohhos::ipc {
namespace {

using namespace std::chrono_literals;
using namespace testing;

TEST_F(EndpointTest, SyncAsksForEveryLaneThatHasSomethingNew) {
  auto a = open(plugin(1, "a"));
  auto b = open(plugin(2, "b"));
  const ChannelId channel = channel_to(*a, "b");
  send(*a, channel, "not durable");
  ASSERT_TRUE(a->sync(channel, soon()));
  EXPECT_TRUE(board.syncs().empty());
  ASSERT_TRUE(a->send(channel, {.durable = true}, bytes_of("x"), soon()));
  send(*a, channel, "not durable");
  ASSERT_TRUE(
      a->send(channel, {.priority = Priority::High, .durable = true}, bytes_of("y"), soon()));
  ASSERT_TRUE(a->sync(channel, soon()));
  ASSERT_EQ(board.syncs().size(), 2U);
  EXPECT_EQ(board.syncs()[0].channel_id, channel.value);
  EXPECT_EQ(board.syncs()[0].upto, 128U + 32); // behind the durable one, not behind the last
  EXPECT_EQ(board.syncs()[1].upto, 128U);
  ASSERT_TRUE(a->sync(soon())); // nothing new
  EXPECT_EQ(board.syncs().size(), 2U);
}

TEST_F(EndpointTest, ASyncThatFailsIsAskedForAgain) {
  auto a = open(plugin(1, "a"));
  auto b = open(plugin(2, "b"));
  const ChannelId channel = channel_to(*a, "b");
  ASSERT_TRUE(a->send(channel, {.durable = true}, bytes_of("x"), soon()));
  board.disk_is_full = true;
  const auto full = a->sync(soon());
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, Code::Exhausted);
  EXPECT_EQ(full.error().text, "the disk is full");
  board.disk_is_full = false;
  EXPECT_TRUE(a->sync(soon()));
  EXPECT_EQ(take(*b), "x");
  EXPECT_EQ(a->sync(ChannelId{99}, soon()).error().code, Code::PeerGone);
}

TEST_F(EndpointTest, ASyncThatIsRefusedForNowIsTriedUntilTheDeadline) {
  auto a = open(plugin(1, "a"));
  auto b = open(plugin(2, "b"));
  const ChannelId channel = channel_to(*a, "b");
  ASSERT_TRUE(a->send(channel, {.durable = true}, bytes_of("x"), soon()));
  board.syncs_refused = 3;
  const auto patient = a->sync(channel, soon());
  EXPECT_TRUE(patient) << patient.error().text;
  EXPECT_EQ(board.syncs().size(), 4U);
  ASSERT_TRUE(a->send(channel, {.durable = true}, bytes_of("y"), soon()));
  board.syncs_refused = 1'000'000;
  for (const Monotonic deadline : {kNoWait, in(60ms)}) {
    const auto late = a->sync(deadline);
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code, Code::TimedOut);
  }
  const auto named = a->sync(in(200ms));
  ASSERT_FALSE(named);
  EXPECT_NE(named.error().text.find("8 syncs are under way"), std::string::npos)
      << named.error().text;
  board.syncs_refused = 0;
  EXPECT_TRUE(a->sync(soon()));
}

TEST_F(EndpointTest, ASyncThatIsToldLaterLetsMessagesComeMeanwhile) {
  auto a = open(plugin(1, "a"));
  auto b = open(plugin(2, "b"));
  const ChannelId channel = channel_to(*a, "b");
  const ChannelId back = channel_to(*b, "a");
  std::vector<Result<>> ends;
  const SyncCallback note = [&](const Result<>& end) { ends.push_back(end); };
  board.answer_nothing(true);
  ASSERT_TRUE(a->send(channel, {.durable = true}, bytes_of("x"), soon()));
  ASSERT_TRUE(
      a->send(channel, {.priority = Priority::Normal, .durable = true}, bytes_of("y"), soon()));
  ASSERT_TRUE(a->sync_later(channel, soon(), note));
  ASSERT_TRUE(a->sync_later({}, in(1ms), note)); // of all channels, and in vain
  send(*b, back, "meanwhile");
  b->flush();
  EXPECT_EQ(take(*a), "meanwhile");
  while (ends.empty()) ASSERT_FALSE(*a->receive(in(5ms)));
  ASSERT_EQ(ends.size(), 1U);
  EXPECT_EQ(ends[0].error().code, Code::TimedOut);
  board.answer_nothing(false);
  while (ends.size() < 2) ASSERT_FALSE(*a->receive(in(5ms)));
  EXPECT_TRUE(ends[1]);
  // What is on disk is not asked for again, and the end comes in a receive() all the same.
  const std::size_t asked = board.syncs().size();
  ASSERT_TRUE(a->sync_later(channel, soon(), note));
  EXPECT_EQ(ends.size(), 2U);
  ASSERT_FALSE(*a->receive(kNoWait));
  ASSERT_EQ(ends.size(), 3U);
  EXPECT_TRUE(ends[2]);
  EXPECT_EQ(board.syncs().size(), asked);
  EXPECT_EQ(a->sync_later(ChannelId{99}, soon(), note).error().code, Code::PeerGone);
}

TEST_F(EndpointTest, ASyncThatIsToldLaterIsAskedForAgainOfAnotherManager) {
  auto a = open(plugin(1, "a"));
  auto b = open(plugin(2, "b"));
  const ChannelId channel = channel_to(*a, "b");
  ASSERT_TRUE(a->send(channel, {.durable = true}, bytes_of("x"), soon()));
  board.lose_next_sync = true;
  std::optional<Result<>> end;
  ASSERT_TRUE(a->sync_later(channel, soon(), [&](const Result<>& told) { end = told; }));
  while (!end) ASSERT_FALSE(*a->receive(in(5ms)));
  EXPECT_TRUE(*end);
  EXPECT_EQ(board.syncs().size(), 2U);
  ASSERT_TRUE(a->send(channel, {.durable = true}, bytes_of("y"), soon()));
  board.disk_is_full = true;
  end.reset();
  ASSERT_TRUE(a->sync_later(channel, soon(), [&](const Result<>& told) { end = told; }));
  while (!end) ASSERT_FALSE(*a->receive(in(5ms)));
  EXPECT_EQ(end->error().code, Code::Exhausted);
}

} // namespace
} // namespace mohhos::ipc
