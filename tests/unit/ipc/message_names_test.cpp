#include "ipc/message_names.hpp"

#include <gtest/gtest.h>

namespace mohhos::ipc {
namespace {

TEST(MessageNames, GoBothWays) {
  for (std::uint8_t i = 0; i < kMessageTypeCount; ++i) {
    const auto type = static_cast<MessageType>(i);
    EXPECT_EQ(parse_message_type(type_name(type)), type);
  }
  for (std::uint8_t i = 0; i < 4; ++i) {
    const auto priority = static_cast<Priority>(i);
    EXPECT_EQ(parse_priority(priority_name(priority)), priority);
  }
}

TEST(MessageNames, OfNothingAreNothing) {
  for (const char* text : {"", "Custom", "custom ", "urgent!", "7"}) {
    EXPECT_FALSE(parse_message_type(text));
    EXPECT_FALSE(parse_priority(text));
  }
  EXPECT_EQ(type_name(static_cast<MessageType>(200)), "unknown");
  EXPECT_EQ(priority_names(), "low, normal, high, critical");
}

} // namespace
} // namespace mohhos::ipc
