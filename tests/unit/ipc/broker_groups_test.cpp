#include <gtest/gtest.h>

#include "parties.hpp"

namespace mohhos::ipc {
namespace {

using namespace testing;

TEST(Broker, OpensAGroupByTypeWithWhomItMayReach) {
  Broker broker = of_plugins({"a"});
  (void)broker.join(plugin(2, "b", {"*"}, {"*"}, model::PluginType::DeviceDriver));
  (void)broker.join(plugin(3, "c", {"*"}, {}, model::PluginType::DeviceDriver));
  (void)broker.join(plugin(4, "d"));
  const Plan plan = broker.open_group({1}, group(GroupKind::PluginsOfType, 5));
  const auto ready = all<GroupReady>(plan);
  ASSERT_EQ(ready.size(), 1U);
  EXPECT_EQ(ready[0].second.count, 1U);
  EXPECT_EQ(ready[0].second.refused, 1U);
  EXPECT_TRUE(std::holds_alternative<GroupReady>(
      plan.deliveries.back().record)); // its channels came before
}

TEST(Broker, TellsThoseWhoAskedForAGroupOnceWhenItMayHaveChanged) {
  Broker broker = of_plugins({"a"});
  (void)broker.open_group({1}, group(GroupKind::PluginsOfType, 6));
  EXPECT_EQ(all<GroupStale>(broker.join(plugin(2, "b"))).size(), 1U);
  EXPECT_EQ(all<GroupStale>(broker.join(plugin(3, "c"))).size(), 0U); // it has not asked since
}

// Else anybody could have all publishers ask again before each event.
TEST(Broker, WhatStrangersOpenCloseAndLeaveIsNoReasonToAskForAGroupAgain) {
  Broker broker = of_plugins({"p1", "p2", "p3"});
  (void)broker.open_group({1}, group(GroupKind::PluginsOfType, 6));
  const Plan opened = broker.open({2}, by_id(3));
  EXPECT_TRUE(all<GroupStale>(opened).empty());
  CloseChannel close;
  close.channel_id = opened.make.at(0).channel;
  close.reason = CloseReason::Broken;
  EXPECT_TRUE(all<GroupStale>(broker.close({2}, close)).empty());
  EXPECT_TRUE(all<GroupStale>(broker.join(application(7))).empty());
  EXPECT_TRUE(all<GroupStale>(broker.leave({7})).empty());
  (void)broker.join(application(8));
  EXPECT_TRUE(all<GroupStale>(broker.subscribe({8}, wish(5, 2))).empty()); // of another publisher
  EXPECT_EQ(all<GroupStale>(broker.subscribe({8}, wish(5, 1))).size(), 1U);
}

TEST(Broker, WhoOpensAndClosesWithoutEndMustWait) {
  Broker broker(BrokerLimits{.openings_per_pair = 5, .openings_forgiven = 2});
  for (const std::uint64_t id : {1U, 2U, 3U}) (void)broker.join(plugin(id, fmt::format("p{}", id)));
  const auto round = [&](std::uint64_t to) {
    const Plan plan = broker.open({1}, by_id(to));
    if (plan.make.empty()) return refused(plan);
    CloseChannel close;
    close.channel_id = plan.make[0].channel;
    close.reason = CloseReason::PeerGone;
    (void)broker.close({1}, close);
    return Code{};
  };
  for (int i = 0; i < 5; ++i) EXPECT_EQ(round(2), Code{});
  EXPECT_EQ(round(2), Code::Exhausted);
  EXPECT_EQ(round(3), Code{}); // another receiver has had no trouble
  broker.forgive();
  for (int i = 0; i < 2; ++i) EXPECT_EQ(round(2), Code{});
  EXPECT_EQ(round(2), Code::Exhausted);
}

TEST(Broker, FindsSubscribersOfAnyOrOfOnePublisher) {
  Broker broker = of_plugins({"p1", "p2", "p3", "p4"});
  (void)broker.subscribe({2}, wish(7));
  (void)broker.subscribe({3}, wish(7, 1));
  (void)broker.subscribe({4}, wish(7, 2));
  EXPECT_EQ(all<GroupReady>(broker.open_group({1}, group(GroupKind::SubscribersOfEvent, 7)))[0]
                .second.count,
            2U);
  EXPECT_EQ(all<GroupReady>(broker.open_group({1}, group(GroupKind::SubscribersOfEvent, 8)))[0]
                .second.count,
            0U);
}

TEST(Broker, BoundsSubscriptions) {
  Broker broker({.subscriptions_per_party = 2});
  (void)broker.join(plugin(1, "a"));
  EXPECT_EQ(all<Subscribed>(broker.subscribe({1}, wish(1))).size(), 1U);
  EXPECT_EQ(all<Subscribed>(broker.subscribe({1}, wish(2))).size(), 1U);
  EXPECT_EQ(refused(broker.subscribe({1}, wish(3))), Code::Exhausted);
}

TEST(Broker, RefusesEventsThatNobodyDeclares) {
  Broker broker;
  Party publisher = plugin(1, "a");
  publisher.events = model::Events{{7, model::Lossiness::Oldest}};
  Party subscriber = plugin(2, "b");
  subscriber.events = model::Events{};
  (void)broker.join(publisher);
  (void)broker.join(subscriber);
  EXPECT_EQ(refused(broker.subscribe({2}, wish(8))), Code::NotFound);
  EXPECT_EQ(refused(broker.subscribe({2}, wish(8, 1))), Code::NotFound);
  EXPECT_EQ(refused(broker.subscribe({2}, wish(7, 99))), Code::NotFound);
  EXPECT_EQ(all<Subscribed>(broker.subscribe({2}, wish(7))).size(), 1U);
  EXPECT_EQ(refused(broker.open_group({1}, group(GroupKind::SubscribersOfEvent, 8))), Code::Denied);
  const Plan plan = broker.open_group({1}, group(GroupKind::SubscribersOfEvent, 7));
  ASSERT_EQ(plan.make.size(), 1U);
  EXPECT_EQ(plan.make[0].lane, Lane::Lossy);
  EXPECT_EQ(all<GroupReady>(plan)[0].second.losses[0],
            static_cast<std::uint8_t>(model::Lossiness::Oldest));
}

} // namespace
} // namespace mohhos::ipc
