#include "monitor/sample.hpp"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "../../harness/temporary_directory.hpp"

namespace mohhos::monitor {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr std::string_view kStat =
    "42 (a ) b) S 1 42 42 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0 1 1 1";

TEST(Sample, ReadsTimesBehindAnyProcessName) {
  EXPECT_EQ(parse_stat(kStat, 100), 3s);
  EXPECT_EQ(parse_stat("", 100), std::nullopt);
  EXPECT_EQ(parse_stat("42 (x) S 1 2", 100), std::nullopt);
  EXPECT_EQ(parse_stat("42 (x", 100), std::nullopt);
}

TEST(Sample, ReadsResidentMemory) {
  EXPECT_EQ(parse_statm("500 120 80 1 0 60 0\n", 4096), Bytes{120 * 4096});
  EXPECT_EQ(parse_statm("", 4096), std::nullopt);
  EXPECT_EQ(parse_statm("1 99999999999999999999", 4096), std::nullopt);
}

TEST(Sample, PercentIsOfOneCpu) {
  const Sample before{.memory = {}, .cpu = 1s, .at = Monotonic{10s}};
  const Sample now{.memory = {}, .cpu = 2s, .at = Monotonic{12s}};
  EXPECT_DOUBLE_EQ(cpu_percent(before, now), 50.0);
  EXPECT_DOUBLE_EQ(cpu_percent(now, now), 0.0);
  EXPECT_DOUBLE_EQ(cpu_percent(now, before), 0.0) << "never negative";
}

TEST(Sample, ComesFromProcWhereThereIsNoCgroup) {
  const auto sample =
      take_sample({.pid = ::getpid(), .memory_cgroup = "", .cpu_cgroup = ""}, Monotonic{1s});
  ASSERT_TRUE(sample) << sample.error().text;
  EXPECT_GT(sample->memory.count, 0U);
}

TEST(Sample, PrefersTheCgroupsFiles) {
  const test::TemporaryDirectory scratch;
  const std::filesystem::path& directory = scratch;
  std::ofstream(directory / "memory.current") << "4096\n";
  std::ofstream(directory / "cpu.stat") << "usage_usec 1500\nuser_usec 1000\n";
  const auto sample = take_sample(
      {.pid = ::getpid(), .memory_cgroup = directory, .cpu_cgroup = directory}, Monotonic{});
  ASSERT_TRUE(sample);
  EXPECT_EQ(sample->memory, Bytes{4096});
  EXPECT_EQ(sample->cpu, 1500us);
}

TEST(Sample, OfAProcessThatIsGoneIsNotFound) {
  const auto sample = take_sample({.pid = -7, .memory_cgroup = "", .cpu_cgroup = ""}, Monotonic{});
  ASSERT_FALSE(sample);
  EXPECT_EQ(sample.error().code, Code::NotFound);
}

TEST(Judge, LeavesToTheKernelWhatTheKernelLimits) {
  const model::ResourceLimits limits{.max_memory_mb = 64};
  const Sample sample{.memory = mib(100), .cpu = {}, .at = {}};
  EXPECT_EQ(judge(sample, limits, true), std::nullopt);
  const auto verdict = judge(sample, limits, false);
  ASSERT_TRUE(verdict);
  EXPECT_THAT(*verdict, HasSubstr("100 MB"));
  EXPECT_THAT(*verdict, HasSubstr("64 MB"));
  EXPECT_EQ(judge({.memory = mib(64), .cpu = {}, .at = {}}, limits, false), std::nullopt);
}

} // namespace
} // namespace mohhos::monitor
