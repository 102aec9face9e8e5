#include <gtest/gtest.h>

#include "model/capability.hpp"
#include "model/messaging.hpp"
#include "model/plugin_type.hpp"
#include "model/state.hpp"

namespace mohhos::model {
namespace {

TEST(Names, EveryPluginTypeIsReadBackFromItsWord) {
  for (const PluginType type : kPluginTypes) EXPECT_EQ(parse_type(type_name(type)), type);
  EXPECT_FALSE(parse_type("driver"));
  EXPECT_FALSE(parse_type(""));
}

TEST(Names, EveryCapabilityIsReadBackFromTheSpecificationsField) {
  for (const Capability c : kCapabilities) EXPECT_EQ(parse_capability(capability_name(c)), c);
  EXPECT_FALSE(parse_capability("filesystem"));
}

TEST(Names, EveryLossinessIsReadBackFromItsWord) {
  for (const Lossiness lossiness : kLossinesses)
    EXPECT_EQ(parse_lossiness(lossiness_name(lossiness)), lossiness);
  EXPECT_FALSE(parse_lossiness(""));
  EXPECT_EQ(lossiness_name(static_cast<Lossiness>(9)), "unknown");
}

TEST(Names, StatesAreSpelledAsInTheSpecification) {
  EXPECT_EQ(state_name(State::Unloaded), "UNLOADED");
  EXPECT_EQ(state_name(State::Unloading), "UNLOADING");
  EXPECT_EQ(state_name(static_cast<State>(9)), "unknown");
}

TEST(Names, NumbersAreTheSpecifications) {
  EXPECT_EQ(static_cast<int>(PluginType::Custom), 6);
  EXPECT_EQ(static_cast<int>(State::Error), 5);
}

TEST(CapabilitySet, TheIntersectionHasOnlyWhatBothHave) {
  CapabilitySet asked;
  asked.add(Capability::Filesystem);
  asked.add(Capability::Network);
  asked.custom = 0b1100;
  CapabilitySet ceiling;
  ceiling.add(Capability::Filesystem);
  ceiling.custom = 0b0110;
  const CapabilitySet got = asked & ceiling;
  EXPECT_TRUE(got.has(Capability::Filesystem));
  EXPECT_FALSE(got.has(Capability::Network));
  EXPECT_EQ(got.custom, 0b0100U);
  for (const Capability c : kCapabilities) EXPECT_TRUE(kAllCapabilities.has(c));
}

} // namespace
} // namespace mohhos::model
