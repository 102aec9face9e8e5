#include "manager/limits_report.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace mohhos::manager {
namespace {

using model::Wall;

constexpr model::WallSet kGroups = model::wall_bit(Wall::MemoryLimit) |
                                   model::wall_bit(Wall::CpuLimit) |
                                   model::wall_bit(Wall::ProcessLimit);

std::string enforcer(model::WallSet walls, LimitsBackend backend, std::string_view name) {
  const auto report = report_limits({}, walls, backend);
  const auto found = std::ranges::find(report, name, &model::LimitInForce::name);
  return found == report.end() ? "?" : found->enforced_by;
}

TEST(LimitsReport, HasEveryLimitWithItsValue) {
  const auto report = report_limits({.max_memory_mb = 77}, kGroups, LimitsBackend::CgroupV2);
  EXPECT_EQ(report.size(), 8U);
  EXPECT_EQ(report.front().name, "max_memory_mb");
  EXPECT_EQ(report.front().value, 77U);
}

TEST(LimitsReport, NamesTheGroupsFile) {
  EXPECT_EQ(enforcer(kGroups, LimitsBackend::CgroupV1, "max_memory_mb"),
            "cgroup v1 memory.limit_in_bytes");
  EXPECT_EQ(enforcer(kGroups, LimitsBackend::CgroupV2, "max_memory_mb"), "cgroup v2 memory.max");
  EXPECT_EQ(enforcer(kGroups, LimitsBackend::CgroupV2, "max_cpu_percent"), "cgroup v2 cpu.max");
}

TEST(LimitsReport, DoesNotClaimAGroupThatDoesNotStand) {
  EXPECT_EQ(enforcer(0, LimitsBackend::CgroupV2, "max_cpu_percent"), "nothing (reported only)");
  EXPECT_EQ(enforcer(0, LimitsBackend::CgroupV1, "max_processes"), "RLIMIT_NPROC");
  EXPECT_EQ(enforcer(kGroups, LimitsBackend::None, "max_processes"), "RLIMIT_NPROC");
}

} // namespace
} // namespace mohhos::manager
