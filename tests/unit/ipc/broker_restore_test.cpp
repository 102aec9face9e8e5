// Channels for what a journal kept: there before their receiver, and perhaps before their sender.
#include <gtest/gtest.h>

#include "parties.hpp"

namespace mohhos::ipc {
namespace {

using namespace testing;

StandIn stand_in(std::uint64_t id, std::string name, bool waits = true) {
  return {.id = {id}, .name = std::move(name), .type = model::PluginType::Custom, .waits = waits};
}
const ChannelOpened* opened(const Plan& plan, std::uint64_t to) {
  for (const Delivery& delivery : plan.deliveries)
    if (const auto* record = std::get_if<ChannelOpened>(&delivery.record);
        record != nullptr && delivery.to.value == to)
      return record;
  return nullptr;
}
bool was_refused(const Plan& plan) {
  return !plan.deliveries.empty() &&
         std::holds_alternative<ChannelRefused>(plan.deliveries.front().record);
}

class BrokerRestore : public ::testing::Test {
protected:
  // The receiver is 1, the sender will be 2.
  void restore() {
    Plan plan;
    const auto made =
        broker.restore_channel(stand_in(2, "from"), receiver, Lane::Normal, 4096, plan);
    ASSERT_TRUE(made) << made.error().text;
    EXPECT_EQ(plan.make.size(), 1U);
    EXPECT_TRUE(plan.deliveries.empty());
    channel = made->channel;
  }
  Broker broker;
  Party receiver = plugin(1, "to");
  std::uint64_t channel = 0;
};

TEST_F(BrokerRestore, TheReceiverGetsItWhenItJoins) {
  restore();
  const Plan plan = broker.join(receiver);
  const ChannelOpened* record = opened(plan, 1);
  ASSERT_NE(record, nullptr);
  EXPECT_EQ(record->channel_id, channel);
  EXPECT_STREQ(record->peer_name, "from");
}

TEST_F(BrokerRestore, TheSenderGetsItWhenItOpensAChannel) {
  restore();
  (void)broker.join(receiver);
  EXPECT_EQ(broker.waits_for("from"), PluginId{2});
  EXPECT_EQ(broker.waits_for("to"), std::nullopt);
  (void)broker.join(plugin(2, "from"));
  EXPECT_EQ(broker.waits_for("from"), std::nullopt);
  const Plan plan = broker.open({2}, by_name("to"));
  const ChannelOpened* record = opened(plan, 2);
  ASSERT_NE(record, nullptr);
  EXPECT_EQ(record->channel_id, channel);
}

TEST_F(BrokerRestore, AStandInIsNobodyToOthers) {
  restore();
  (void)broker.join(receiver);
  EXPECT_TRUE(was_refused(broker.open({1}, by_name("from"))));
  OpenChannel by_id;
  by_id.target_id = 2;
  EXPECT_TRUE(was_refused(broker.open({1}, by_id)));
  OpenGroup group;
  group.kind = GroupKind::PluginsOfType;
  group.value = static_cast<std::uint32_t>(model::PluginType::Custom);
  const Plan plan = broker.open_group({1}, group);
  EXPECT_EQ(std::get<GroupReady>(plan.deliveries.front().record).count, 0U);
}

TEST_F(BrokerRestore, ASenderThatMayNotAnyMoreDoesNotGetIt) {
  restore();
  (void)broker.join(receiver);
  const Plan plan = broker.join(plugin(2, "from", {"somebody else"}));
  EXPECT_EQ(plan.drop, std::vector{ChannelId{channel}});
  EXPECT_TRUE(was_refused(broker.open({2}, by_name("to"))));
}

TEST_F(BrokerRestore, AReceiverThatDoesNotTakeItGetsNothing) {
  Plan plan;
  const auto made = broker.restore_channel(stand_in(2, "from"), plugin(1, "to", {}, {"other"}),
                                           Lane::Normal, 4096, plan);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Code::Denied);
  EXPECT_TRUE(plan.make.empty());
}

TEST_F(BrokerRestore, IsOneChannelForALane) {
  restore();
  Plan plan;
  EXPECT_EQ(
      broker.restore_channel(stand_in(2, "from"), receiver, Lane::Normal, 4096, plan).error().code,
      Code::Exists);
  EXPECT_TRUE(broker.restore_channel(stand_in(2, "from"), receiver, Lane::High, 4096, plan));
}

TEST_F(BrokerRestore, SurvivesTheManager) {
  restore();
  (void)broker.join(receiver);
  Broker next;
  ASSERT_TRUE(next.restore(broker.save()));
  (void)next.join(receiver);
  EXPECT_TRUE(next.sweep().drop.empty());
  EXPECT_EQ(next.waits_for("from"), PluginId{2});
}

TEST_F(BrokerRestore, IsForgottenWithTheLastChannel) {
  restore();
  (void)broker.join(receiver);
  (void)broker.leave({1});
  EXPECT_EQ(broker.waits_for("from"), std::nullopt);
}

} // namespace
} // namespace mohhos::ipc
