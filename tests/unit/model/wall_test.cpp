#include "model/wall.hpp"

#include <gtest/gtest.h>

namespace mohhos::model {
namespace {

constexpr WallSet kAll = (1U << kWallCount) - 1;

TEST(Wall, AllWallsAreTheHighestLevel) {
  EXPECT_EQ(level_of(kAll), SandboxLevel::L3);
}

TEST(Wall, WithoutCgroupLimitsOrScopeItIsTheSecondLevel) {
  EXPECT_EQ(level_of(kAll & ~wall_bit(Wall::MemoryLimit)), SandboxLevel::L2);
  EXPECT_EQ(level_of(kAll & ~wall_bit(Wall::LandlockScope)), SandboxLevel::L2);
}

TEST(Wall, WithoutLandlockOrAUidOfItsOwnItIsTheFirstLevel) {
  EXPECT_EQ(level_of(kAll & ~wall_bit(Wall::Landlock)), SandboxLevel::L1);
  EXPECT_EQ(level_of(kAll & ~wall_bit(Wall::OwnUid)), SandboxLevel::L1);
}

TEST(Wall, AnyRequiredWallThatIsMissingIsNoLevelAtAll) {
  for (unsigned i = 0; i < kWallCount; ++i) {
    const auto wall = static_cast<Wall>(i);
    if ((required_walls() & wall_bit(wall)) == 0) continue;
    EXPECT_EQ(level_of(kAll & ~wall_bit(wall)), SandboxLevel::None) << wall_name(wall);
  }
}

TEST(Wall, SetsAreNamedInTheOrderOfTheTable) {
  EXPECT_EQ(wall_names(0), "none");
  EXPECT_EQ(wall_names(wall_bit(Wall::Seccomp) | wall_bit(Wall::OwnUid)), "own-uid, seccomp");
}

TEST(Wall, LevelsAreReadBackFromTheirNames) {
  for (const SandboxLevel level : {SandboxLevel::L1, SandboxLevel::L2, SandboxLevel::L3})
    EXPECT_EQ(parse_level(level_name(level)), level);
  EXPECT_FALSE(parse_level("none"));
  EXPECT_FALSE(parse_level("L4"));
}

} // namespace
} // namespace mohhos::model
