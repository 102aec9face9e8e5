// To everybody of a type, or who subscribed.
#include <array>

#include <gtest/gtest.h>

#include "endpoints.hpp"

namespace mohhos::ipc {
namespace {

using namespace std::chrono_literals;
using namespace testing;

TEST_F(EndpointTest, AnEventThatMayLoseItsOldestNeverMakesItsPublisherWait) {
  Party publisher = plugin(1, "a");
  publisher.events = model::Events{{7, model::Lossiness::Oldest}, {8, model::Lossiness::Newest}};
  const auto a = open(publisher, {.ring_bytes = 4096});
  const auto b = open(plugin(2, "b"));
  const std::array<std::uint32_t, 2> events{7, 8};
  ASSERT_TRUE(b->subscribe({}, events, soon()));
  constexpr int kCount = 40'000; // more than a ring of the usual size holds
  int dropped = 0;
  for (int i = 0; i < kCount; ++i) {
    ASSERT_EQ(a->publish(7, {}, bytes_of(std::to_string(i)), kForever)->sent, 1U);
    const auto newest = a->publish(8, {}, bytes_of(std::to_string(i)), kForever);
    dropped += static_cast<int>(newest->dropped);
  }
  int first_of_newest = -1;
  int last_of_oldest = -1;
  int of_newest = 0;
  for (;;) {
    auto message = b->receive(in(20ms));
    if (!*message) break;
    const int number = std::stoi(text_of((*message)->payload));
    if ((*message)->info.event == 7) {
      EXPECT_GT(number, last_of_oldest);
      last_of_oldest = number;
    } else {
      if (of_newest == 0) first_of_newest = number;
      ++of_newest;
    }
    b->release(**message);
  }
  EXPECT_EQ(last_of_oldest, kCount - 1);
  EXPECT_EQ(first_of_newest, 0);
  EXPECT_GT(dropped, 0);
  EXPECT_EQ(of_newest + dropped, kCount);
}

TEST_F(EndpointTest, BroadcastReachesEveryPluginOfTheType) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  const auto c = open(plugin(3, "c"));
  auto delivered = a->broadcast(model::PluginType::Custom, {}, bytes_of("all"), soon());
  ASSERT_TRUE(delivered) << delivered.error().text;
  EXPECT_EQ(delivered->sent, 2U);
  EXPECT_EQ(take(*b), "all");
  EXPECT_EQ(take(*c), "all");
  const auto d = open(plugin(4, "d"));
  EXPECT_EQ(a->broadcast(model::PluginType::Custom, {}, bytes_of("more"), soon())->sent, 3U);
  EXPECT_EQ(take(*d), "more");
}

TEST_F(EndpointTest, EventsReachTheirSubscribersOnly) {
  const auto a = open(plugin(1, "a"));
  const auto b = open(plugin(2, "b"));
  const auto c = open(plugin(3, "c"));
  const std::array<std::uint32_t, 1> events{7};
  ASSERT_TRUE(b->subscribe({}, events, soon()));
  EXPECT_EQ(a->publish(7, {}, bytes_of("seven"), soon())->sent, 1U);
  EXPECT_EQ(a->publish(8, {}, bytes_of("eight"), soon())->sent, 0U);
  auto message = b->receive(soon());
  EXPECT_EQ((*message)->info.type, MessageType::EventNotify);
  EXPECT_EQ((*message)->info.event, 7U);
  b->release(**message);
  EXPECT_FALSE(*c->receive(kNoWait));
}

} // namespace
} // namespace mohhos::ipc
