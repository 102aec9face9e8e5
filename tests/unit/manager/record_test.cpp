#include "manager/record.hpp"

#include <gtest/gtest.h>

#include "security/manifest.hpp"

namespace mohhos::manager {
namespace {

SavedPlugin sample() {
  SavedPlugin plugin;
  plugin.manifest = *security::compile_manifest(
      "name = \"ocr\"\nversion = \"1.2.3\"\n[capabilities]\ncan_access_filesystem = "
      "true\n[acl]\nread = [\"/srv\"]\n",
      "plugin.toml");
  plugin.info.id = {7};
  plugin.info.generation = {2};
  plugin.info.state = model::State::Running;
  plugin.info.cause = "none yet";
  plugin.info.grant.capabilities.add(model::Capability::Filesystem);
  plugin.info.grant.capabilities.custom = 5;
  plugin.info.grant.acl.read = {"/srv"};
  plugin.info.grant.limits.max_memory_mb = 33;
  plugin.info.grant.config = {{"key", "value"}};
  plugin.info.trust = model::TrustLevel::Verified;
  plugin.signature = "signature";
  plugin.pending = ipc::Operation::Start;
  plugin.sequence = 9;
  model::Refusal refusal;
  refusal.syscall = 257;
  refusal.path = "/etc/\xff";
  refusal.arguments = {1, 2, 3, 4, 5, 6};
  refusal.count = 11;
  plugin.attempts = {refusal};
  plugin.attempts_lost = 3;
  return plugin;
}

TEST(Record, GivesBackWhatWasSaved) {
  const std::string bytes = serialize(sample());
  const auto back = parse_plugin_record(std::as_bytes(std::span(bytes)));
  ASSERT_TRUE(back) << back.error().text;
  EXPECT_EQ(back->info.metadata.name, "ocr");
  EXPECT_EQ(back->info.id, PluginId{7});
  EXPECT_EQ(back->info.state, model::State::Running);
  EXPECT_EQ(back->info.grant.capabilities, sample().info.grant.capabilities);
  EXPECT_EQ(back->info.grant.acl.read, sample().info.grant.acl.read);
  EXPECT_EQ(back->info.grant.limits.max_memory_mb, 33U);
  EXPECT_EQ(back->info.grant.config.at("key"), "value");
  EXPECT_EQ(back->pending, ipc::Operation::Start);
  EXPECT_EQ(back->sequence, 9U);
  ASSERT_EQ(back->attempts.size(), 1U);
  EXPECT_EQ(back->attempts[0].path, "/etc/\xff");
  EXPECT_EQ(back->attempts[0].arguments, sample().attempts[0].arguments);
  EXPECT_EQ(back->attempts[0].count, 11U);
  EXPECT_EQ(back->attempts_lost, 3U);
}

TEST(Record, EveryCutAndEveryFlippedByteIsAnErrorOrARecord) {
  const std::string bytes = serialize(sample());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    static_cast<void>(parse_plugin_record(std::as_bytes(std::span(bytes).first(i))));
    std::string flipped = bytes;
    flipped[i] = static_cast<char>(flipped[i] ^ 0x41);
    if (const auto parsed = parse_plugin_record(std::as_bytes(std::span(flipped)))) {
      EXPECT_LT(static_cast<unsigned>(parsed->info.state), model::kStateCount);
      EXPECT_NE(parsed->info.id.value, 0U);
    }
  }
}

TEST(Record, OfTheManagerGivesBackWhatWasSaved) {
  const SavedManager manager{
      .next_id = 12,
      .started_us = 34,
      .broker = {std::byte{1}, std::byte{2}},
      .endpoints = {{PluginId{3}, "tool", 1000, "ocr"}},
      .taps = {{PluginId{3}, ChannelId{9}, "", ""}, {PluginId{3}, ChannelId{}, "reader", "ocr"}}};
  const std::string bytes = serialize(manager);
  const auto back = parse_manager_record(std::as_bytes(std::span(bytes)));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->next_id, 12U);
  EXPECT_EQ(back->broker, manager.broker);
  ASSERT_EQ(back->endpoints.size(), 1U);
  EXPECT_EQ(back->endpoints[0].name, "tool");
  EXPECT_EQ(back->endpoints[0].delivers_to, "ocr");
  ASSERT_EQ(back->taps.size(), 2U);
  EXPECT_EQ(back->taps[0].channel, ChannelId{9});
  EXPECT_EQ(back->taps[1].recorder, PluginId{3});
  EXPECT_EQ(back->taps[1].sender, "reader");
  EXPECT_EQ(back->taps[1].receiver, "ocr");
}

} // namespace
} // namespace mohhos::manager
