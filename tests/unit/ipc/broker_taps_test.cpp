#include <gtest/gtest.h>

#include "parties.hpp"

namespace mohhos::ipc {
namespace {

using namespace testing;

TEST(Broker, GivesARecorderCopiesOfOneChannel) {
  Broker broker = of_plugins({"a", "b"});
  (void)broker.join(application(9));
  const std::uint64_t channel = broker.open({1}, by_name("b")).make[0].channel;
  const auto tapped = broker.tap({channel}, {9});
  ASSERT_TRUE(tapped) << tapped.error().text;
  ASSERT_EQ(tapped->make.size(), 1U);
  EXPECT_EQ(tapped->make[0].sender, 2U);
  EXPECT_EQ(tapped->make[0].receiver, 9U);
  EXPECT_EQ(tapped->make[0].lane, Lane::Tap);
  ASSERT_EQ(all<TapOpened>(*tapped).size(), 1U);
  EXPECT_EQ(all<TapOpened>(*tapped)[0].first, 2U);
  EXPECT_EQ(broker.tap({channel}, {9}).error().code, Code::Exists);
  EXPECT_EQ(broker.tap({99}, {9}).error().code, Code::NotFound);
  EXPECT_EQ(broker.untap({channel}).drop.size(), 1U);
  EXPECT_TRUE(broker.tap({channel}, {9}));
  // The ring of copies stays for what is unread, until one of its own ends goes.
  EXPECT_EQ(broker.leave({1}).drop.size(), 1U);
  EXPECT_EQ(broker.leave({9}).drop.size(), 1U);
}

TEST(Broker, HasOneRingOfCopiesForOneReceiverAndRecorder) {
  Broker broker = of_plugins({"a", "b", "c"});
  (void)broker.join(application(9));
  const std::uint64_t first = broker.open({1}, by_name("b")).make[0].channel;
  const std::uint64_t second = broker.open({3}, by_name("b")).make[0].channel;
  const std::uint64_t copies = broker.tap({first}, {9})->make[0].channel;
  EXPECT_TRUE(broker.tap({second}, {9})->make.empty()); // the same ring
  (void)broker.untap({first});
  EXPECT_TRUE(broker.find({copies}));
  (void)broker.untap({second});
  EXPECT_FALSE(broker.find({copies}));
}

TEST(Broker, EndsCopiesWhenTheProcessThatMadeThemIsLost) {
  Broker broker = of_plugins({"a", "b"});
  (void)broker.join(application(9));
  const std::uint64_t channel = broker.open({1}, by_name("b")).make[0].channel;
  const std::uint64_t copies = broker.tap({channel}, {9})->make[0].channel;
  EXPECT_EQ(broker.lost({2}).drop, std::vector{ChannelId{copies}});
  EXPECT_EQ(broker.tap({channel}, {9}).error().code, Code::NotRunning);
  Party successor = plugin(2, "b");
  successor.generation = {2};
  (void)broker.join(successor);
  EXPECT_TRUE(broker.tap({channel}, {9}));
}

} // namespace
} // namespace mohhos::ipc
