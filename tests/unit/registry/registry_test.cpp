#include "registry/registry.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mohhos::registry {
namespace {

using testing::HasSubstr;

model::Metadata plugin(std::string name, std::string_view version = "1.0.0") {
  model::Metadata metadata;
  metadata.name = std::move(name);
  metadata.version = *model::parse_version(version);
  return metadata;
}

model::Dependency needs(std::string name, std::string_view min = "", std::string_view max = "",
                        bool optional = false) {
  model::Dependency dependency{.name = std::move(name), .versions = {}, .optional = optional};
  if (!min.empty()) dependency.versions.min = *model::parse_version(min);
  if (!max.empty()) dependency.versions.max = *model::parse_version(max);
  return dependency;
}

class RegistryOfTwo : public testing::Test {
protected:
  RegistryOfTwo() {
    registry.insert({PluginId{1}, plugin("tokenizer", "1.4.2"), true});
    registry.insert({PluginId{2}, plugin("stat", "0.9"), true});
  }
  Registry registry;
  Host host{.os = "linux", .machine = "x86_64", .kernel = {6, 1, 0}};
};

TEST_F(RegistryOfTwo, FindsByIdAndByName) {
  ASSERT_NE(registry.find(PluginId{1}), nullptr);
  EXPECT_EQ(registry.find(PluginId{1})->metadata.name, "tokenizer");
  ASSERT_NE(registry.find("stat"), nullptr);
  EXPECT_EQ(registry.find("stat")->id, PluginId{2});
  EXPECT_EQ(registry.find("nobody"), nullptr);
  EXPECT_EQ(registry.find(PluginId{3}), nullptr);
}

TEST_F(RegistryOfTwo, RefusesASecondPluginOfTheSameName) {
  const auto admitted = registry.admit(plugin("stat", "2.0"), host);
  ASSERT_FALSE(admitted);
  EXPECT_EQ(admitted.error().code, Code::Exists);
  EXPECT_THAT(admitted.error().text, HasSubstr("0.9.0"));
}

TEST_F(RegistryOfTwo, LetsAPluginInErrorBeReplaced) {
  registry.set_alive(PluginId{2}, false);
  ASSERT_TRUE(registry.admit(plugin("stat", "2.0"), host));
  registry.insert({PluginId{3}, plugin("stat", "2.0"), true});
  EXPECT_EQ(registry.find("stat")->id, PluginId{3});
  EXPECT_EQ(registry.find(PluginId{2}), nullptr);
  EXPECT_EQ(registry.size(), 2U);
}

TEST_F(RegistryOfTwo, NamesBothSidesOfAMissingDependency) {
  auto reader = plugin("reader");
  reader.dependencies = {needs("parser", "2.0")};
  const auto admitted = registry.admit(reader, host);
  ASSERT_FALSE(admitted);
  EXPECT_EQ(admitted.error().code, Code::Dependency);
  EXPECT_THAT(admitted.error().text,
              HasSubstr("reader 1.0.0 needs parser (>= 2.0.0): it is not loaded"));
}

TEST_F(RegistryOfTwo, NamesTheVersionThatIsOutOfRange) {
  auto reader = plugin("reader");
  reader.dependencies = {needs("tokenizer", "2.0", "3.0")};
  const auto admitted = registry.admit(reader, host);
  ASSERT_FALSE(admitted);
  EXPECT_EQ(admitted.error().code, Code::Dependency);
  EXPECT_THAT(admitted.error().text,
              HasSubstr("tokenizer (>= 2.0.0, <= 3.0.0): tokenizer 1.4.2 is loaded"));
}

TEST_F(RegistryOfTwo, TakesBothEndsOfARangeAsInside) {
  auto reader = plugin("reader");
  reader.dependencies = {needs("tokenizer", "1.4.2", "1.4.2")};
  EXPECT_TRUE(registry.admit(reader, host));
}

TEST_F(RegistryOfTwo, DoesNotCountAPluginInErrorAsThere) {
  registry.set_alive(PluginId{1}, false);
  auto reader = plugin("reader");
  reader.dependencies = {needs("tokenizer")};
  const auto admitted = registry.admit(reader, host);
  ASSERT_FALSE(admitted);
  EXPECT_THAT(admitted.error().text, HasSubstr("tokenizer is in ERROR"));
}

TEST_F(RegistryOfTwo, AnOptionalDependencyMayBeAbsentButNotWrong) {
  auto reader = plugin("reader");
  reader.dependencies = {needs("parser", "2.0", "", true)};
  EXPECT_TRUE(registry.admit(reader, host));
  reader.dependencies = {needs("tokenizer", "2.0", "", true)};
  const auto admitted = registry.admit(reader, host);
  ASSERT_FALSE(admitted);
  EXPECT_EQ(admitted.error().code, Code::Dependency);
}

TEST_F(RegistryOfTwo, ReportsEachDependencyAsItStands) {
  auto reader = plugin("reader");
  reader.dependencies = {needs("tokenizer", "1.0"), needs("parser"), needs("extra", "", "", true)};
  const auto states = registry.dependencies_of(reader);
  ASSERT_EQ(states.size(), 3U);
  EXPECT_TRUE(states[0].satisfied);
  EXPECT_EQ(states[0].found, (model::Version{1, 4, 2}));
  EXPECT_FALSE(states[1].satisfied);
  EXPECT_FALSE(states[1].found);
  EXPECT_TRUE(states[2].satisfied);
}

TEST_F(RegistryOfTwo, DoesNotLetAPluginGoThatOthersNeed) {
  auto reader = plugin("reader");
  reader.dependencies = {needs("tokenizer")};
  registry.insert({PluginId{3}, reader, true});
  const auto leave = registry.may_leave(PluginId{1});
  ASSERT_FALSE(leave);
  EXPECT_EQ(leave.error().code, Code::BadState);
  EXPECT_THAT(leave.error().text, HasSubstr("tokenizer is needed by reader"));
  EXPECT_TRUE(registry.may_leave(PluginId{2}));
  registry.set_alive(PluginId{3}, false);
  EXPECT_TRUE(registry.may_leave(PluginId{1})) << "what is in ERROR needs nobody";
}

TEST_F(RegistryOfTwo, AnOptionalDependantKeepsNobody) {
  auto reader = plugin("reader");
  reader.dependencies = {needs("tokenizer", "", "", true)};
  registry.insert({PluginId{3}, reader, true});
  EXPECT_TRUE(registry.may_leave(PluginId{1}));
}

TEST_F(RegistryOfTwo, RefusesWhatIsForAnotherMachine) {
  auto other = plugin("other");
  other.platform.machine = "aarch64";
  EXPECT_EQ(registry.admit(other, host).error().code, Code::Incompatible);
  other = plugin("other");
  other.platform.os = "plan9";
  EXPECT_EQ(registry.admit(other, host).error().code, Code::Incompatible);
  other = plugin("other");
  other.platform.min_kernel = {6, 7, 0};
  EXPECT_THAT(registry.admit(other, host).error().text, HasSubstr("Linux 6.7.0"));
  other = plugin("other");
  other.required_api_version = 2;
  EXPECT_THAT(registry.admit(other, host).error().text, HasSubstr("plugin API 2"));
}

TEST_F(RegistryOfTwo, ForgetsWhatWasErased) {
  registry.erase(PluginId{1});
  EXPECT_EQ(registry.find("tokenizer"), nullptr);
  registry.erase(PluginId{1});
  EXPECT_EQ(registry.size(), 1U);
}

} // namespace
} // namespace mohhos::registry
