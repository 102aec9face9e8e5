#include <csignal>
#include <filesystem>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/cgroup.hpp"

namespace mohhos::sandbox {
namespace {

// Of this process alone: tests run beside each other, and a sweep takes all of its name.
std::uint32_t own_instance() {
  return 0xC0000000U | (static_cast<std::uint32_t>(::getpid()) & 0x0FFFFFFFU);
}

class CgroupsTest : public testing::Test {
protected:
  void SetUp() override {
    cgroups = Cgroups::open(own_instance());
    if (cgroups.layout() == CgroupLayout::None) GTEST_SKIP() << cgroups.reason();
  }
  void TearDown() override { cgroups.remove(); }
  Cgroups cgroups;
};

// A process that only waits, in its group.
pid_t start_waiting(const Group& group) {
  const auto doors = group.open_doors();
  EXPECT_TRUE(doors);
  int inside[2];
  EXPECT_EQ(::pipe(inside), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    for (const sys::Fd& door : *doors)
      if (::write(door.get(), "0", 1) != 1) ::_exit(1);
    if (::write(inside[1], "x", 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  char byte = 0;
  ::close(inside[1]);
  EXPECT_EQ(::read(inside[0], &byte, 1), 1);
  ::close(inside[0]);
  return child;
}

int exit_signal(pid_t child) {
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

TEST_F(CgroupsTest, AGroupHasItsLimitsAndIsGoneAfterRemove) {
  auto group = cgroups.make("a", PluginId{1}, Generation{1},
                            {.memory_bytes = 1U << 24, .cpu_percent = 50, .processes = 7});
  ASSERT_TRUE(group) << group.error().text;
  EXPECT_EQ(group->walls(), cgroups.walls());
  const std::string directory = group->directory(Controller::Cpu);
  EXPECT_TRUE(std::filesystem::exists(directory + "/cpu.stat"));
  EXPECT_EQ(*group->populated(), false);
  EXPECT_EQ(*group->out_of_memory_kills(), 0U);
  EXPECT_TRUE(group->remove());
  EXPECT_FALSE(std::filesystem::exists(directory));
}

TEST_F(CgroupsTest, ANameIsInUseOnce) {
  auto group = cgroups.make("a", PluginId{2}, Generation{1}, {});
  ASSERT_TRUE(group);
  const auto again = cgroups.make("a", PluginId{2}, Generation{1}, {});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::Exists);
  EXPECT_TRUE(group->remove());
}

TEST_F(CgroupsTest, ASweepKillsAndRemovesWhatAFormerLifeLeft) {
  std::string left;
  {
    auto group = cgroups.make("stale", PluginId{3}, Generation{1}, {});
    ASSERT_TRUE(group);
    left = group->directory(Controller::Cpu);
  }
  ASSERT_TRUE(std::filesystem::exists(left));
  const auto swept = cgroups.sweep();
  ASSERT_TRUE(swept) << swept.error().text;
  EXPECT_GE(*swept, 1U);
  EXPECT_FALSE(std::filesystem::exists(left));
}

TEST_F(CgroupsTest, AProcessThatIsAdoptedInV1DiesInASweep) {
  if (!cgroups.limits_in_v1()) GTEST_SKIP() << "the limits are not v1's here";
  pid_t child = 0;
  {
    auto group = cgroups.make("stale", PluginId{4}, Generation{1}, {});
    ASSERT_TRUE(group);
    child = start_waiting(*group);
  }
  EXPECT_TRUE(cgroups.sweep());
  EXPECT_EQ(exit_signal(child), SIGKILL);
}

TEST_F(CgroupsTest, NothingIsLeftAfterRemove) {
  const std::string name = fmt::format("mohhos-{:08x}", own_instance());
  const auto count = [&] {
    std::size_t found = 0;
    std::error_code gone; // another test's group, while we looked: look again
    do {
      found = 0;
      gone.clear();
      for (std::filesystem::recursive_directory_iterator at(
               "/sys/fs/cgroup", std::filesystem::directory_options::skip_permission_denied, gone),
           end;
           at != end; at.increment(gone))
        if (at->path().filename().string().starts_with(name)) ++found;
    } while (gone);
    return found;
  };
  EXPECT_GE(count(), 1U);
  cgroups.remove();
  EXPECT_EQ(count(), 0U);
}

TEST(KnobName, SaysWhichFileOfWhichVersion) {
  EXPECT_EQ(knob_name(Controller::Memory, true), "cgroup v1 memory.limit_in_bytes");
  EXPECT_EQ(knob_name(Controller::Cpu, false), "cgroup v2 cpu.max");
}

} // namespace
} // namespace mohhos::sandbox
