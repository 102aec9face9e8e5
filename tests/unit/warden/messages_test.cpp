#include "warden/messages.hpp"

#include <cstring>
#include <vector>

#include <gtest/gtest.h>

namespace mohhos::warden {
namespace {

Launch good_launch() {
  Launch launch;
  launch.plugin_id = 1;
  launch.generation = 1;
  put_text(launch.name, "reader");
  return launch;
}

TEST(Messages, AGoodRequestIsReadWhole) {
  Keep keep;
  keep.plugin_id = 4;
  keep.key = 5;
  keep.kind = KeepKind::DataBell;
  const auto request = parse_request(bytes_of(keep), 1);
  ASSERT_TRUE(request) << request.error().text;
  EXPECT_EQ(std::get<Keep>(*request).key, 5U);
  EXPECT_TRUE(parse_request(bytes_of(good_launch()), 5));
}

TEST(Messages, OnlyTheExactSizeIsRead) {
  const Launch launch = good_launch();
  const auto whole = bytes_of(launch);
  std::vector<std::byte> longer(whole.begin(), whole.end());
  longer.push_back({});
  for (std::size_t size = 0; size <= longer.size(); ++size)
    EXPECT_EQ(parse_request(std::span(longer).first(size), 5).has_value(), size == whole.size())
        << size;
}

TEST(Messages, EveryOtherNumberOfDescriptorsIsRefused) {
  for (std::size_t count = 0; count < 17; ++count)
    EXPECT_EQ(parse_request(bytes_of(good_launch()), count).has_value(), count == 5) << count;
}

TEST(Messages, TheWardensOwnMessagesAndUnknownTypesAreNoRequests) {
  for (unsigned type = 0; type < 256; ++type) {
    Signal signal;
    signal.header.type = static_cast<MessageType>(type);
    const bool known =
        signal.header.type == MessageType::Ready || signal.header.type == MessageType::Goodbye;
    EXPECT_EQ(parse_request(bytes_of(signal), 0).has_value(), known) << type;
  }
}

TEST(Messages, AnotherVersionIsRefusedWithBothNumbers) {
  Signal signal;
  signal.header.type = MessageType::Ready;
  signal.header.version = 7;
  const auto request = parse_request(bytes_of(signal), 0);
  ASSERT_FALSE(request);
  EXPECT_NE(request.error().text.find("version 7"), std::string::npos);
}

TEST(Messages, ALaunchNeedsAPluginAGenerationANameAndABoundedSignature) {
  auto without = [](auto change) {
    Launch launch = good_launch();
    change(launch);
    return parse_request(bytes_of(launch), 5).has_value();
  };
  EXPECT_FALSE(without([](Launch& l) { l.plugin_id = 0; }));
  EXPECT_FALSE(without([](Launch& l) { l.generation = 0; }));
  EXPECT_FALSE(without([](Launch& l) { l.name[0] = 0; }));
  EXPECT_FALSE(without([](Launch& l) { l.signature_size = kSignatureSize + 1; }));
  EXPECT_FALSE(without([](Launch& l) { std::memset(l.name, 'a', sizeof l.name); }));
}

TEST(Messages, ANameCannotBeAPath) {
  Launch launch;
  launch.plugin_id = 1;
  launch.generation = 1;
  for (const char* bad : {".", "..", "a/b", "/", "A", "a.b", "-a", "a b", "a\n"}) {
    put_text(launch.name, bad);
    EXPECT_FALSE(parse_request(bytes_of(launch), 5)) << bad;
  }
  put_text(launch.name, "llm-7b_x");
  EXPECT_TRUE(parse_request(bytes_of(launch), 5));
}

TEST(Messages, ATextIsCutAndAlwaysTerminated) {
  char text[4] = {'x', 'x', 'x', 'x'};
  put_text(text, "abcdef");
  EXPECT_STREQ(text, "abc");
  put_text(text, "");
  EXPECT_STREQ(text, "");
}

} // namespace
} // namespace mohhos::warden
