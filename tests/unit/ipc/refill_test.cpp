#include "ipc/refill.hpp"

#include "ring_memory.hpp"

namespace mohhos::ipc {
namespace {

using testing::bytes_of;
using testing::Pair;
using testing::text_of;

// As a journal does it: before either end is there.
struct Refilled : Pair {
  explicit Refilled(const std::vector<std::string>& texts, const MessageInfo& info = {}) {
    sender.reset();
    receiver.reset();
    Refill refill(memory.data.get(), memory.control.get(), capacity);
    for (const std::string& text : texts) {
      const auto put = refill.put(info, bytes_of(text));
      EXPECT_TRUE(put) << put.error().text;
    }
    EXPECT_TRUE(refill.finish());
    new_receiver();
  }
};

TEST(Refill, IsReceivedInOrderAndFlagged) {
  Refilled pair({"a", std::string(300, 'b'), ""},
                {.type = MessageType::EventNotify, .priority = Priority::High, .event = 7});
  for (const std::string& text : {std::string("a"), std::string(300, 'b'), std::string()}) {
    View view;
    ASSERT_EQ(pair.receiver->next(view), RingReceiver::Outcome::Message);
    EXPECT_EQ(text_of(view.payload), text);
    EXPECT_TRUE(view.info.redelivered);
    EXPECT_TRUE(view.info.durable);
    EXPECT_EQ(view.info.type, MessageType::EventNotify);
    EXPECT_EQ(view.info.priority, Priority::High);
    EXPECT_EQ(view.info.event, 7U);
    EXPECT_EQ(view.info.correlation, 0U);
    pair.receiver->release(view);
  }
  EXPECT_FALSE(pair.take());
}

TEST(Refill, ItsSenderGoesOnBehindIt) {
  Refilled pair({"old 1", "old 2"});
  pair.new_sender();
  ASSERT_EQ(pair.send("new"), RingSender::Outcome::Ok);
  View view;
  for (const char* text : {"old 1", "old 2", "new"}) {
    ASSERT_EQ(pair.receiver->next(view), RingReceiver::Outcome::Message);
    EXPECT_EQ(text_of(view.payload), text);
    EXPECT_EQ(view.info.redelivered, std::string_view(text) != "new");
    pair.receiver->release(view);
  }
}

TEST(Refill, FillsARingToTheLastGrainAndNoFurther) {
  Pair pair;
  Refill refill(pair.memory.data.get(), pair.memory.control.get(), pair.capacity);
  std::uint64_t count = 0;
  auto put = refill.put({}, bytes_of("x"));
  for (; put; put = refill.put({}, bytes_of("x"))) ++count;
  EXPECT_EQ(put.error().code, Code::Exhausted);
  EXPECT_EQ(count, (pair.capacity - kGrain) / (2 * kGrain)); // one grain stays free
  EXPECT_EQ(refill.put({}, std::vector<std::byte>(pair.capacity)).error().code, Code::TooLarge);
}

} // namespace
} // namespace mohhos::ipc
