#include <set>

#include <gtest/gtest.h>

#include "parties.hpp"

namespace mohhos::ipc {
namespace {

using namespace testing;

// --- who may ---

TEST(MaySend, NeedsBothSides) {
  EXPECT_TRUE(may_send(plugin(1, "a", {"b"}), plugin(2, "b", {}, {"a"})));
  const auto sender_says_no = may_send(plugin(1, "a", {"c"}), plugin(2, "b", {}, {"a"}));
  EXPECT_EQ(sender_says_no.error().code, Code::Denied);
  EXPECT_NE(sender_says_no.error().text.find("add \"b\" to send_to under [acl] in a's"),
            std::string::npos);
  const auto receiver_says_no = may_send(plugin(1, "a", {"b"}), plugin(2, "b", {}, {"c"}));
  EXPECT_NE(receiver_says_no.error().text.find("add \"a\" to receive_from under [acl] in b's"),
            std::string::npos);
}

TEST(MaySend, KnowsTypesApplicationsAndEverybody) {
  const Party model = plugin(2, "llm", {}, {"type:custom"}, model::PluginType::PromptProcessor);
  EXPECT_TRUE(may_send(plugin(1, "a", {"type:prompt-processor"}), model));
  EXPECT_FALSE(may_send(plugin(1, "a", {"type:custom"}), model));
  EXPECT_TRUE(may_send(application(9), plugin(1, "a", {}, {"application"})));
  EXPECT_FALSE(may_send(application(9), plugin(1, "a", {}, {"plugctl"}))); // a name is a plugin's
  EXPECT_TRUE(may_send(plugin(1, "a", {"application"}), application(9)));
  EXPECT_FALSE(may_send(application(8), application(9)));
  EXPECT_FALSE(may_send(plugin(1, "a"), plugin(1, "a")));
}

TEST(MaySend, AsksForTheCapabilityToReachAnAiModel) {
  Party asker = plugin(1, "a");
  const Party llm = plugin(2, "llm", {"*"}, {"*"}, model::PluginType::AiModel);
  EXPECT_NE(may_send(asker, llm).error().text.find("can_access_ai_engine"), std::string::npos);
  asker.capabilities.add(model::Capability::AiEngine);
  EXPECT_TRUE(may_send(asker, llm));
}

// --- channels ---

TEST(Broker, OpensAChannelAndTellsTheReceiverFirst) {
  Broker broker = of_plugins({"a", "b"});
  const Plan plan = broker.open({1}, by_name("b", 77));
  ASSERT_EQ(plan.make.size(), 1U);
  EXPECT_EQ(plan.make[0].ring_bytes, BrokerLimits{}.default_ring);
  const auto opened = all<ChannelOpened>(plan);
  ASSERT_EQ(opened.size(), 2U);
  EXPECT_EQ(opened[0].first, 2U);
  EXPECT_EQ(opened[0].second.role, Role::Receive);
  EXPECT_EQ(opened[0].second.header.sequence, 0U);
  EXPECT_STREQ(opened[0].second.peer_name, "a");
  EXPECT_EQ(opened[1].first, 1U);
  EXPECT_EQ(opened[1].second.role, Role::Send);
  EXPECT_EQ(opened[1].second.header.sequence, 77U);
  EXPECT_EQ(plan.deliveries[1].fds_of.value, plan.make[0].channel);
}

TEST(Broker, AnswersTheSameQuestionTwiceWithTheSameChannel) {
  Broker broker = of_plugins({"a", "b"});
  const Plan first = broker.open({1}, by_name("b"));
  const Plan second = broker.open({1}, by_id(2));
  EXPECT_TRUE(second.make.empty());
  ASSERT_EQ(all<ChannelOpened>(second).size(), 1U);
  EXPECT_EQ(all<ChannelOpened>(second)[0].second.channel_id, first.make[0].channel);
}

TEST(Broker, RefusesUnknownTargetsForbiddenOnesAndSillyRings) {
  Broker broker;
  (void)broker.join(plugin(1, "a", {"b"}));
  (void)broker.join(plugin(2, "b", {}, {"a"}));
  (void)broker.join(plugin(3, "c"));
  EXPECT_EQ(refused(broker.open({1}, by_name("nobody"))), Code::NotFound);
  EXPECT_EQ(refused(broker.open({1}, by_id(99))), Code::NotFound);
  EXPECT_EQ(refused(broker.open({1}, by_name("c"))), Code::Denied);
  OpenChannel silly = by_name("b");
  silly.ring_bytes = 5000;
  EXPECT_EQ(refused(broker.open({1}, silly)), Code::Invalid);
  silly.ring_bytes = std::uint64_t{1} << 40;
  EXPECT_EQ(refused(broker.open({1}, silly)), Code::Invalid);
  EXPECT_TRUE(broker.channels().empty());
}

TEST(Broker, OpensALaneForRepliesToWhomMayAsk) {
  Broker broker;
  (void)broker.join(application(9));
  (void)broker.join(plugin(1, "a", {}, {"application"}));
  OpenChannel reply = by_id(9);
  reply.lane = Lane::Reply;
  EXPECT_EQ(refused(broker.open({1}, reply)), Code::Denied); // nobody asked yet
  (void)broker.open({9}, by_name("a"));
  EXPECT_EQ(refused(broker.open({1}, by_id(9))), Code::Denied); // answers only
  const Plan plan = broker.open({1}, reply);
  ASSERT_EQ(plan.make.size(), 1U);
  EXPECT_EQ(plan.make[0].lane, Lane::Reply);
  EXPECT_EQ(all<ChannelOpened>(plan)[0].second.lane, Lane::Reply);
}

TEST(Broker, ALaneForRepliesAllowsNoReplyInTurn) {
  Broker broker;
  (void)broker.join(plugin(1, "a", {"b"}, {}));
  (void)broker.join(plugin(2, "b", {}, {"a"}));
  const std::uint64_t requests = broker.open({1}, by_name("b")).make[0].channel;
  OpenChannel reply = by_name("a");
  reply.lane = Lane::Reply;
  ASSERT_EQ(broker.open({2}, reply).make.size(), 1U);
  CloseChannel close;
  close.channel_id = requests;
  close.reason = CloseReason::PeerGone;
  EXPECT_EQ(broker.close({1}, close).drop.size(), 1U);
  (void)broker.regrant({1}, {}, {}); // a may send to nobody any more
  EXPECT_TRUE(broker.channels().empty());
  EXPECT_EQ(refused(broker.open({1}, by_name("b"))), Code::Denied);
}

// Its peers hear at once, but the rings are there until somebody has looked at them.
TEST(Broker, WhoPartsIsFoundByNobodyAndItsRingsStayUntilItLeaves) {
  Broker broker = of_plugins({"a", "b"});
  const std::uint64_t to = broker.open({1}, by_name("b")).make[0].channel;
  const std::uint64_t from = broker.open({2}, by_name("a")).make[0].channel;
  const Plan parted = broker.part({2});
  ASSERT_EQ(all<ChannelClosed>(parted).size(), 2U);
  for (const auto& [whom, record] : all<ChannelClosed>(parted)) {
    EXPECT_EQ(whom, 1U);
    EXPECT_EQ(record.reason, CloseReason::PeerGone);
  }
  EXPECT_EQ(parted.drop, std::vector{ChannelId{from}});
  EXPECT_EQ(refused(broker.open({1}, by_name("b"))), Code::NotFound);
  EXPECT_EQ(broker.sendable({1}, {to}).error().code, Code::PeerGone);
  CloseChannel close;
  close.channel_id = to;
  EXPECT_TRUE(broker.close({1}, close).drop.empty()); // its messages are the receiver's
  ASSERT_TRUE(broker.find({to}));
  EXPECT_EQ(broker.leave({2}).drop, std::vector{ChannelId{to}});
  EXPECT_TRUE(broker.channels().empty());
}

TEST(Broker, GivesEachPriorityARingOfItsOwn) {
  Broker broker = of_plugins({"a", "b"});
  std::set<std::uint64_t> channels;
  for (const Lane lane : {Lane::Low, Lane::Normal, Lane::High, Lane::Urgent}) {
    OpenChannel request = by_name("b");
    request.lane = lane;
    const Plan plan = broker.open({1}, request);
    ASSERT_EQ(plan.make.size(), 1U);
    channels.insert(plan.make[0].channel);
    EXPECT_TRUE(broker.open({1}, request).make.empty());
  }
  EXPECT_EQ(channels.size(), 4U);
}

TEST(Broker, RefusesAChannelToOneself) {
  Broker broker = of_plugins({"a"});
  EXPECT_EQ(refused(broker.open({1}, by_name("a"))), Code::Invalid);
}

TEST(Broker, BoundsChannelsAndMemory) {
  Broker broker({.channels_per_party = 3, .ring_bytes_per_party = 3 * 4096, .default_ring = 4096});
  (void)broker.join(plugin(1, "a"));
  for (std::uint64_t id = 2; id <= 5; ++id) (void)broker.join(plugin(id, fmt::format("p{}", id)));
  for (std::uint64_t id = 2; id <= 4; ++id) EXPECT_EQ(broker.open({1}, by_id(id)).make.size(), 1U);
  EXPECT_EQ(refused(broker.open({1}, by_id(5))), Code::Exhausted);
  OpenChannel large = by_id(3);
  large.ring_bytes = 16384;
  EXPECT_EQ(refused(broker.open({2}, large)), Code::Exhausted);
}

TEST(Broker, AsManyChannelsAsASenderMayHaveFindRoomAndTheFirstAreTheLargest) {
  const BrokerLimits limits;
  Broker broker(limits);
  (void)broker.join(plugin(1, "a"));
  std::uint64_t bytes = 0;
  std::uint64_t before = limits.default_ring;
  for (std::uint64_t id = 2; id <= limits.channels_per_party + 1; ++id) {
    (void)broker.join(plugin(id, fmt::format("p{}", id)));
    const Plan plan = broker.open({1}, by_id(id));
    ASSERT_EQ(plan.make.size(), 1U) << id;
    const std::uint64_t size = plan.make[0].ring_bytes;
    EXPECT_TRUE(is_ring_size(size));
    EXPECT_LE(size, before);
    if (id < 32) {
      EXPECT_EQ(size, limits.default_ring);
    }
    before = size;
    bytes += size;
  }
  EXPECT_LE(bytes, limits.ring_bytes_per_party);
}

TEST(Broker, TheOperatorsUsualRingIsGivenWhateverTheLimit) {
  constexpr std::uint64_t kUsual = std::uint64_t{16} << 20;
  Broker broker({.ring_bytes_per_party = kUsual, .default_ring = kUsual});
  for (std::uint64_t id = 1; id <= 3; ++id) (void)broker.join(plugin(id, fmt::format("p{}", id)));
  const Plan first = broker.open({1}, by_id(2));
  ASSERT_EQ(first.make.size(), 1U);
  EXPECT_EQ(first.make[0].ring_bytes, kUsual);
  EXPECT_EQ(first.make[0].lap, kShortLap);
  OpenChannel wish = by_id(3);
  wish.ring_bytes = 1 << 20;
  const Plan second = broker.open({1}, wish);
  ASSERT_EQ(second.make.size(), 1U);
  EXPECT_EQ(second.make[0].ring_bytes, wish.ring_bytes);
  EXPECT_EQ(second.make[0].lap, 0U); // what was asked for, it has
}

TEST(Broker, BoundsChannelsInAll) {
  Broker broker(BrokerLimits{.channels = 2});
  for (std::uint64_t id = 1; id <= 4; ++id) (void)broker.join(plugin(id, fmt::format("p{}", id)));
  EXPECT_EQ(broker.open({1}, by_id(2)).make.size(), 1U);
  const Plan second = broker.open({2}, by_id(3));
  ASSERT_EQ(second.make.size(), 1U);
  EXPECT_EQ(refused(broker.open({3}, by_id(4))), Code::Exhausted);
  Plan plan;
  const StandIn old{.id = {9}, .name = "old", .type = {}, .waits = false};
  const auto restored = broker.restore_channel(old, plugin(5, "p5"), Lane::Normal, 4096, plan);
  ASSERT_FALSE(restored);
  EXPECT_EQ(restored.error().code, Code::Exhausted);
  (void)broker.end({second.make[0].channel});
  EXPECT_EQ(broker.open({3}, by_id(4)).make.size(), 1U);
}

TEST(Broker, ProgramsLeaveAReceiversOtherHalfToPlugins) {
  Broker broker(BrokerLimits{.channels_per_party = 4});
  (void)broker.join(plugin(1, "a"));
  (void)broker.join(plugin(2, "b"));
  for (const std::uint64_t id : {7U, 8U, 9U}) (void)broker.join(application(id));
  EXPECT_EQ(broker.open({7}, by_id(1)).make.size(), 1U);
  EXPECT_EQ(broker.open({8}, by_id(1)).make.size(), 1U);
  EXPECT_EQ(refused(broker.open({9}, by_id(1))), Code::Exhausted);
  EXPECT_EQ(broker.open({2}, by_id(1)).make.size(), 1U);
}

TEST(Broker, UndoesAChannelWhoseMemoryCouldNotBeMade) {
  Broker broker = of_plugins({"a", "b"});
  const Plan plan = broker.open({1}, by_name("b", 5));
  const Plan undone = broker.undo({plan.make[0].channel}, {Code::Exhausted, "no memory"});
  EXPECT_EQ(refused(undone), Code::Exhausted);
  EXPECT_EQ(all<ChannelRefused>(undone)[0].second.header.sequence, 5U);
  EXPECT_TRUE(broker.channels().empty());
  EXPECT_EQ(broker.open({1}, by_name("b")).make.size(), 1U);
}

// --- coming and going ---

TEST(Broker, EndsTheChannelsOfWhoLeaves) {
  Broker broker = of_plugins({"a", "b"});
  (void)broker.open({1}, by_name("b"));
  (void)broker.open({2}, by_name("a"));
  const Plan plan = broker.leave({2});
  EXPECT_EQ(plan.drop.size(), 2U);
  const auto closed = all<ChannelClosed>(plan);
  ASSERT_EQ(closed.size(), 2U);
  for (const auto& [to, record] : closed) {
    EXPECT_EQ(to, 1U);
    EXPECT_EQ(record.reason, CloseReason::PeerGone);
  }
}

TEST(Broker, WhoBringsADeadLetterBackNeedsNoAcl) {
  Broker broker;
  Party bringer;
  bringer.id = {1};
  bringer.name = "a";
  bringer.generation = {1};
  bringer.delivers_to = "b";
  (void)broker.join(bringer);
  (void)broker.join(plugin(2, "b", {}, {}));
  (void)broker.join(plugin(3, "c", {}, {}));
  EXPECT_EQ(broker.open({1}, by_name("b")).make.size(), 1U);
  EXPECT_EQ(refused(broker.open({1}, by_name("c"))), Code::Denied);
}

TEST(Broker, TellsThePeersOfALostOneAtOnceAndNotAgain) {
  Broker broker = of_plugins({"a", "b"});
  (void)broker.open({1}, by_name("b"));
  (void)broker.open({2}, by_name("a"));
  const Plan lost = broker.lost({2});
  EXPECT_TRUE(lost.drop.empty());
  const auto closed = all<ChannelClosed>(lost);
  ASSERT_EQ(closed.size(), 1U); // once for each peer, however many channels there are
  EXPECT_EQ(closed[0].first, 1U);
  EXPECT_EQ(closed[0].second.reason, CloseReason::PeerRestarted);
  EXPECT_EQ(closed[0].second.channel_id, 1U); // one that the peer sends on
  EXPECT_TRUE(broker.lost({2}).deliveries.empty());
  Party successor = plugin(2, "b");
  successor.generation = {2};
  EXPECT_TRUE(all<ChannelClosed>(broker.join(successor)).empty());
}

TEST(Broker, OpensAChannelToALostOneForItsSuccessor) {
  Broker broker = of_plugins({"a", "b"});
  (void)broker.lost({2});
  const Plan plan = broker.open({1}, by_name("b"));
  ASSERT_EQ(plan.make.size(), 1U);
  ASSERT_EQ(all<ChannelOpened>(plan).size(), 1U); // the sender's end only
  Party successor = plugin(2, "b");
  successor.generation = {2};
  const auto opened = all<ChannelOpened>(broker.join(successor));
  ASSERT_EQ(opened.size(), 1U);
  EXPECT_EQ(opened[0].second.channel_id, plan.make[0].channel);
  EXPECT_EQ(opened[0].second.role, Role::Receive);
}

TEST(Broker, ALostSubscriberStillBelongsToItsGroup) {
  Broker broker = of_plugins({"a", "b"});
  (void)broker.subscribe({2}, wish(7));
  (void)broker.lost({2});
  const Plan plan = broker.open_group({1}, group(GroupKind::SubscribersOfEvent, 7));
  EXPECT_EQ(all<GroupReady>(plan)[0].second.count, 1U);
  ASSERT_EQ(all<ChannelOpened>(plan).size(), 1U); // nobody is there to be told of its end
  EXPECT_EQ(all<ChannelOpened>(plan)[0].first, 1U);
}

TEST(Broker, GivesASuccessorTheRingsAndTellsItsPeers) {
  Broker broker = of_plugins({"a", "b"});
  const std::uint64_t to_b = broker.open({1}, by_name("b")).make[0].channel;
  const std::uint64_t from_b = broker.open({2}, by_name("a")).make[0].channel;
  Party successor = plugin(2, "b");
  successor.generation = {2};
  const Plan plan = broker.join(successor); // nobody had noticed the end of the one before
  const auto opened = all<ChannelOpened>(plan);
  ASSERT_EQ(opened.size(), 1U); // what it receives on; what it sends on it asks for
  EXPECT_EQ(opened[0].second.channel_id, to_b);
  EXPECT_EQ(all<ChannelClosed>(plan).size(), 1U);
  const auto again = all<ChannelOpened>(broker.open({2}, by_name("a")));
  EXPECT_EQ(again.back().second.channel_id, from_b);
  EXPECT_EQ(again.back().second.ring_generation, 2U);
}

TEST(Broker, RevokesWhatANewGrantDoesNotAllow) {
  Broker broker = of_plugins({"a", "b"});
  (void)broker.open({1}, by_name("b"));
  model::Acl none;
  const Plan plan = broker.regrant({1}, {}, none);
  EXPECT_EQ(plan.drop.size(), 1U);
  EXPECT_EQ(all<ChannelClosed>(plan).size(), 2U); // both ends
}

TEST(Broker, OnlyAnEndMayCloseAChannel) {
  Broker broker = of_plugins({"p1", "p2", "p3"});
  CloseChannel close;
  close.channel_id = broker.open({1}, by_id(2)).make[0].channel;
  close.reason = CloseReason::Broken;
  EXPECT_TRUE(broker.close({3}, close).drop.empty());
  const Plan plan = broker.close({2}, close);
  EXPECT_EQ(plan.drop.size(), 1U);
  ASSERT_EQ(all<ChannelClosed>(plan).size(), 1U);
  EXPECT_EQ(all<ChannelClosed>(plan)[0].first, 1U);
}

// --- calls that wait for each other ---

TEST(Broker, NamesACycleOfCallsThatWaitForEachOther) {
  Broker broker = of_plugins({"p1", "p2", "p3"});
  const auto waiting = [&](std::uint64_t who, std::uint64_t on) {
    Waiting record;
    record.peer_id = on;
    return all<Deadlock>(broker.waiting({who}, record));
  };
  for (const auto& [from, to] : {std::pair{1U, 2U}, std::pair{2U, 3U}, std::pair{3U, 1U}})
    (void)broker.open({from}, by_id(to));
  EXPECT_TRUE(waiting(1, 2).empty());
  EXPECT_TRUE(waiting(2, 3).empty());
  const auto found = waiting(3, 1);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].first, 3U);
  EXPECT_NE(std::string_view(found[0].second.text).find("p3 → p1 → p2 → p3"),
            std::string_view::npos);
  EXPECT_TRUE(waiting(3, 0).empty());
  EXPECT_TRUE(waiting(2, 0).empty()); // p2 got its answer
  EXPECT_TRUE(waiting(3, 1).empty()); // and now nothing is wrong with it
}

TEST(Broker, ACallThatWaitsForSomebodyWhoWasNotAskedIsNone) {
  Broker broker = of_plugins({"p1", "p2", "p3"});
  for (const auto& [from, to] : {std::pair{1U, 2U}, std::pair{2U, 3U}})
    (void)broker.open({from}, by_id(to));
  for (const auto& [who, on] : {std::pair{3U, 1U}, std::pair{2U, 3U}, std::pair{1U, 2U}}) {
    Waiting record;
    record.peer_id = on;
    EXPECT_TRUE(broker.waiting({who}, record).deliveries.empty());
  }
}

} // namespace
} // namespace mohhos::ipc
