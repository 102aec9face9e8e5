#include <gtest/gtest.h>

#include "parties.hpp"

namespace mohhos::ipc {
namespace {

using namespace testing;

TEST(Broker, AnotherManagerGoesOnWithWhatWasSaved) {
  Broker before = of_plugins({"a", "b", "c"});
  const std::uint64_t kept = before.open({1}, by_name("b")).make[0].channel;
  (void)before.open({1}, by_name("c"));
  (void)before.subscribe({2}, wish(7));

  Broker after;
  ASSERT_TRUE(after.restore(before.save()));
  (void)after.join(plugin(1, "a"));
  const Plan joined = after.join(plugin(2, "b"));
  ASSERT_EQ(all<ChannelOpened>(joined).size(), 1U); // in case the old manager died before it told
  const Plan swept = after.sweep();
  EXPECT_EQ(swept.drop.size(), 1U); // c died meanwhile
  EXPECT_EQ(all<ChannelOpened>(after.open({1}, by_name("b")))[0].second.channel_id, kept);
  EXPECT_EQ(all<GroupReady>(after.open_group({1}, group(GroupKind::SubscribersOfEvent, 7)))[0]
                .second.count,
            1U);
  (void)after.join(plugin(4, "d"));
  EXPECT_GT(after.open({1}, by_name("d")).make[0].channel,
            kept + 1); // numbers are never used twice
}

TEST(Broker, AnotherManagerKnowsWhatIsBeingRecorded) {
  Broker before = of_plugins({"a", "b"});
  (void)before.join(application(9));
  const std::uint64_t channel = before.open({1}, by_name("b")).make[0].channel;
  const Plan tapped = *before.tap({channel}, {9});
  EXPECT_TRUE(tapped.changed);
  const std::uint64_t copies = tapped.make[0].channel;

  Broker after;
  ASSERT_TRUE(after.restore(before.save()));
  (void)after.join(application(9));
  (void)after.join(plugin(1, "a"));
  // The old one may have died before it told the receiver: the ring first, then what goes into it,
  // then the channel that is recorded.
  const Plan joined = after.join(plugin(2, "b"));
  const auto taps = all<TapOpened>(joined);
  ASSERT_EQ(taps.size(), 1U);
  EXPECT_EQ(taps[0].first, 2U);
  EXPECT_EQ(taps[0].second.channel_id, channel);
  EXPECT_EQ(taps[0].second.tap_channel_id, copies);
  const auto opened = all<ChannelOpened>(joined);
  ASSERT_EQ(opened.size(), 2U);
  EXPECT_EQ(opened[0].second.channel_id, copies);
  EXPECT_EQ(opened[0].second.role, Role::Send);
  EXPECT_EQ(opened[1].second.channel_id, channel);
  EXPECT_TRUE(after.sweep().drop.empty());
  EXPECT_EQ(after.tap({channel}, {9}).error().code, Code::Exists);
  EXPECT_EQ(after.untap({channel}).drop, std::vector{ChannelId{copies}});
}

TEST(Broker, RefusesASavedRecorderThatMakesNoSense) {
  Broker before = of_plugins({"a", "b"});
  (void)before.join(application(9));
  const std::uint64_t channel = before.open({1}, by_name("b")).make[0].channel;
  (void)before.tap({channel}, {9});
  auto saved = before.save();
  for (const std::size_t behind : {8U, 16U}) { // the two numbers at the end of it
    auto changed = saved;
    changed[saved.size() - behind] = std::byte{77};
    EXPECT_EQ(Broker().restore(changed).error().code, Code::Malformed);
  }
}

TEST(Broker, RefusesASavedStateThatIsCutOrChanged) {
  Broker before = of_plugins({"a", "b"});
  (void)before.join(application(9));
  const std::uint64_t channel = before.open({1}, by_name("b")).make[0].channel;
  (void)before.tap({channel}, {9});
  const auto saved = before.save();
  for (std::size_t size = 0; size < saved.size(); ++size)
    ASSERT_FALSE(Broker().restore(std::span(saved).first(size))) << size;
  auto changed = saved;
  changed[0] = std::byte{0};
  EXPECT_FALSE(Broker().restore(changed));
}

} // namespace
} // namespace mohhos::ipc
