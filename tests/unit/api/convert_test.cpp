#include "api/convert.hpp"

#include <gtest/gtest.h>

#include "api/utf8.hpp"

namespace mohhos::api {
namespace {

TEST(Convert, GoodUtf8StaysAsItIs) {
  const std::string text = "a\tb é € \xF0\x9F\x98\x80 \xF4\x8F\xBF\xBF";
  EXPECT_EQ(as_utf8(text), text);
}

TEST(Convert, WhatIsNotUtf8BecomesTheReplacementCharacter) {
  const std::string bad = "\xEF\xBF\xBD";
  EXPECT_EQ(as_utf8("\xFF"), bad);
  EXPECT_EQ(as_utf8("a\xC3"), "a" + bad);
  EXPECT_EQ(as_utf8("\xC0\x80"), bad + bad);                     // overlong
  EXPECT_EQ(as_utf8("\xE0\x80\x80"), bad + bad + bad);           // overlong
  EXPECT_EQ(as_utf8("\xED\xA0\x80"), bad + bad + bad);           // surrogate
  EXPECT_EQ(as_utf8("\xF4\x90\x80\x80"), bad + bad + bad + bad); // above U+10FFFF
}

TEST(Convert, AnInfoSaysWhatIsGrantedAndWhatWasAskedFor) {
  model::PluginInfo info;
  info.id = PluginId{7};
  info.metadata.name = "ocr";
  info.metadata.capabilities.add(model::Capability::Filesystem);
  info.metadata.capabilities.add(model::Capability::Network);
  info.metadata.dependencies.push_back(
      {.name = "imgproc", .versions = {.min = {2, 1, 0}, .max = {3, 0, 0}}});
  info.metadata.dependencies.push_back({.name = "fonts", .versions = {}, .optional = true});
  info.grant.capabilities.add(model::Capability::Filesystem);
  info.walls = model::wall_bit(model::Wall::Seccomp);
  info.cause = "said \xFF";
  v1::PluginInfo message;
  write_info(info, message);
  ASSERT_EQ(message.grant().capabilities_size(), 1);
  EXPECT_EQ(message.grant().capabilities(0), "can_access_filesystem");
  EXPECT_EQ(message.requested_capabilities_size(), 2);
  EXPECT_EQ(message.walls_size() + message.missing_size(), static_cast<int>(model::kWallCount));
  EXPECT_EQ(message.depends(0).min(), "2.1.0");
  EXPECT_EQ(message.depends(0).max(), "3.0.0");
  EXPECT_EQ(message.depends(1).min() + message.depends(1).max(), "");
  EXPECT_TRUE(message.IsInitialized() && !message.SerializeAsString().empty());
}

} // namespace
} // namespace mohhos::api
