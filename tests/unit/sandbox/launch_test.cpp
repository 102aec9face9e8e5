// The real thing: a process behind its walls, looked at from inside (it tries) and from outside
// (/proc).
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../harness/temporary_directory.hpp"
#include "launcher.hpp"
#include "sandbox/landlock.hpp"
#include "sandbox/probe.hpp"
#include "sys/file.hpp"

namespace mohhos::sandbox::tests {
namespace {

using model::Capability;
using model::Wall;
using testing::AnyOf;
using testing::Contains;
using testing::Optional;

// Open to the plugin's uid. Not in /tmp: the plugin has its own there.
class OpenDirectory : public test::TemporaryDirectory {
public:
  OpenDirectory() : TemporaryDirectory("/var/tmp") { ::chmod(path().c_str(), 0777); }
  [[nodiscard]] std::string put(const std::string& name) const {
    std::ofstream(path() / name) << "x";
    ::chmod((path() / name).c_str(), 0666);
    return path() / name;
  }
};

class Launch : public testing::Test {
protected:
  void SetUp() override {
    if (const std::string reason = why_no_launch(); !reason.empty()) GTEST_SKIP() << reason;
  }
};

Inmate must_launch(const LaunchOptions& options) {
  auto inmate = Inmate::launch(options);
  if (!inmate) throw std::runtime_error(inmate.error().text); // gtest shows it
  return *std::move(inmate);
}

TEST_F(Launch, EveryWallButTheLimitsStands) {
  Inmate inmate = must_launch({.grant = plain_grant()});
  const model::WallSet standing = combine_walls(inmate.report().standing, inmate.seen(), 0);
  const model::WallSet limits = model::wall_bit(Wall::MemoryLimit) |
                                model::wall_bit(Wall::CpuLimit) |
                                model::wall_bit(Wall::ProcessLimit);
  model::WallSet expected = ((1U << model::kWallCount) - 1) & ~limits;
  if (landlock_abi() < 6) expected &= ~model::wall_bit(Wall::LandlockScope);
  if (landlock_abi() < 1) expected &= ~model::wall_bit(Wall::Landlock);
  EXPECT_EQ(model::wall_names(standing), model::wall_names(expected)) << inmate.report().text;
  EXPECT_STREQ(inmate.report().text, "");
}

TEST_F(Launch, RefusesTheCallsThatAPluginHasNoUseFor) {
  Inmate inmate = must_launch({.grant = plain_grant()});
  for (const char* call :
       {"socket", "socket-unix", "mount", "unshare-user", "ptrace", "read-memory", "fork", "exec",
        "map-write-execute", "map-execute", "protect", "memfd", "kill-all", "kill-parent",
        "nonblock", "dumpable", "raise-limit", "chdir"})
    EXPECT_THAT(inmate.ask(call), Optional(EPERM)) << call;
  EXPECT_THAT(inmate.refused(), Contains(SYS_socket));
  EXPECT_THAT(inmate.refused(), Contains(SYS_process_vm_readv));
}

TEST_F(Launch, AnswersNumbersThatNobodyKnowsWithENOSYS) {
  Inmate inmate = must_launch({.grant = plain_grant()});
  EXPECT_THAT(inmate.ask("clone3"), Optional(ENOSYS));
  EXPECT_THAT(inmate.ask("unknown"), Optional(ENOSYS));
}

TEST_F(Launch, LetsAPluginHaveThreadsAndItsLibraries) {
  Inmate inmate = must_launch({.grant = plain_grant()});
  EXPECT_THAT(inmate.ask("thread"), Optional(0));
  EXPECT_THAT(inmate.ask("map-library"), Optional(0));
  EXPECT_THAT(inmate.ask("read /etc/ld.so.cache"), Optional(0));
  EXPECT_THAT(inmate.ask("read /dev/urandom"), Optional(0));
  EXPECT_THAT(inmate.ask("write /dev/null"), Optional(0));
  EXPECT_THAT(inmate.ask("write /tmp/file"), Optional(0));
}

TEST_F(Launch, ShowsNothingElseOfTheMachine) {
  Inmate inmate = must_launch({.grant = plain_grant()});
  for (const char* path :
       {"/etc/shadow", "/etc/passwd", "/proc/self/status", "/sys/kernel", "/root", "/home", "/var",
        "/run", "/dev/tty", "/dev/kvm", "/usr/bin", "/boot"}) {
    EXPECT_THAT(inmate.ask(std::string("stat ") + path), Optional(ENOENT)) << path;
    EXPECT_THAT(inmate.ask(std::string("read ") + path), Optional(EACCES)) << path;
  }
  EXPECT_THAT(inmate.ask("read /usr/lib/x86_64-linux-gnu/../../../etc/shadow"), Optional(EACCES));
}

TEST_F(Launch, LetsNothingBeWrittenButTmp) {
  Inmate inmate = must_launch({.grant = plain_grant()});
  EXPECT_THAT(inmate.ask("truncate /etc/ld.so.cache"), Optional(AnyOf(EROFS, EACCES)));
  EXPECT_THAT(inmate.ask("write /etc/ld.so.cache"), Optional(AnyOf(EROFS, EACCES)));
  EXPECT_THAT(inmate.ask("write /new"), Optional(AnyOf(EROFS, EACCES)));
  EXPECT_THAT(inmate.ask("write /dev/new"), Optional(AnyOf(EROFS, EACCES)));
}

TEST_F(Launch, EndsAProcessThatLoadsAModule) {
  Inmate inmate = must_launch({.grant = plain_grant()});
  EXPECT_EQ(inmate.ask("module"), std::nullopt);
  const auto ended = inmate.wait();
  ASSERT_TRUE(ended);
  EXPECT_TRUE(ended->signaled);
  EXPECT_EQ(ended->value, SIGSYS);
}

TEST_F(Launch, EndsAProcessThatCallsAsA32BitOne) {
  Inmate inmate = must_launch({.grant = plain_grant()});
  EXPECT_EQ(inmate.ask("module-32"), std::nullopt);
  const auto ended = inmate.wait();
  ASSERT_TRUE(ended);
  EXPECT_TRUE(ended->signaled);
  EXPECT_EQ(ended->value, SIGSYS);
}

TEST_F(Launch, GivesTheGrantedFileAndNoOther) {
  const OpenDirectory directory;
  const std::string granted = directory.put("granted");
  const std::string other = directory.put("other");
  model::Grant grant = plain_grant();
  grant.capabilities.add(Capability::Filesystem);
  grant.acl.read = {granted};
  Inmate inmate = must_launch({.grant = grant});
  EXPECT_THAT(inmate.ask("read " + granted), Optional(0));
  EXPECT_THAT(inmate.ask("write " + granted), Optional(AnyOf(EROFS, EACCES)));
  EXPECT_THAT(inmate.ask("truncate " + granted), Optional(AnyOf(EROFS, EACCES)));
  EXPECT_THAT(inmate.ask("stat " + other), Optional(ENOENT));
  EXPECT_THAT(inmate.ask("read " + other), Optional(EACCES));
}

TEST_F(Launch, LetsAGrantedDirectoryBeWritten) {
  const OpenDirectory directory;
  const std::string granted = directory.put("granted");
  model::Grant grant = plain_grant();
  grant.capabilities.add(Capability::Filesystem);
  grant.acl.write = {directory.path()};
  Inmate inmate = must_launch({.grant = grant});
  EXPECT_THAT(inmate.ask("write " + granted), Optional(0));
  EXPECT_THAT(inmate.ask("truncate " + granted), Optional(0));
  EXPECT_THAT(inmate.ask("write " + (directory.path() / "new").string()), Optional(0));
  EXPECT_TRUE(std::filesystem::exists(directory.path() / "new"));
}

TEST_F(Launch, MakesNoProcessWithoutTheCapabilityAndOneWithIt) {
  model::Grant grant = plain_grant();
  grant.capabilities.add(Capability::CreateProcesses);
  Inmate inmate = must_launch({.grant = grant});
  EXPECT_THAT(inmate.ask("fork"), Optional(0));
  EXPECT_THAT(inmate.ask("unshare-user"), Optional(EPERM));
  EXPECT_THAT(inmate.ask("map-execute"), Optional(EPERM));
}

TEST_F(Launch, NothingExecutableCanBeMadeOnceTightened) {
  Inmate inmate = must_launch({.grant = plain_grant()});
  EXPECT_THAT(inmate.ask("map-library"), Optional(0));
  EXPECT_THAT(inmate.ask("handler"), Optional(0));
  EXPECT_THAT(inmate.ask("tighten"), Optional(0));
  for (const char* call :
       {"map-library", "map-execute", "map-write-execute", "protect", "memfd", "exec"})
    EXPECT_THAT(inmate.ask(call), Optional(EACCES)) << call;
  EXPECT_THAT(inmate.ask("thread"), Optional(0));
}

TEST_F(Launch, ALinkInTheGrantIsRefusedByTheWarden) {
  const OpenDirectory directory;
  const std::string link = directory.path() / "link";
  std::filesystem::create_symlink("/etc/shadow", link);
  model::Metadata metadata;
  auto spec = compile(plain_grant(), metadata, find_system_layout());
  ASSERT_TRUE(spec);
  Mount& mount = spec->mounts[spec->mount_count++];
  mount.kind = MountKind::ReadOnly;
  std::strcpy(mount.source, link.c_str());
  std::strcpy(mount.target, "/mnt/link");
  const sys::Fd host(::open(SANDBOX_INMATE, O_PATH | O_CLOEXEC));
  const auto spawned = spawn({.spec = *spec, .ids = {}, .host = host.get(), .arguments = {}});
  ASSERT_FALSE(spawned);
  EXPECT_THAT(spawned.error().text, testing::HasSubstr("symbolic link"));
}

TEST_F(Launch, AGrantedPathThatIsMissingIsNamed) {
  const OpenDirectory directory;
  model::Metadata metadata;
  auto spec = compile(plain_grant(), metadata, find_system_layout());
  ASSERT_TRUE(spec);
  Mount& mount = spec->mounts[spec->mount_count++];
  mount.kind = MountKind::ReadOnly;
  std::strcpy(mount.source, (directory.path() / "missing").c_str());
  std::strcpy(mount.target, "/mnt/missing");
  const sys::Fd host(::open(SANDBOX_INMATE, O_PATH | O_CLOEXEC));
  const auto spawned = spawn({.spec = *spec, .ids = {}, .host = host.get(), .arguments = {}});
  ASSERT_FALSE(spawned);
  EXPECT_EQ(spawned.error().code, Code::NotFound);
  EXPECT_THAT(spawned.error().text, testing::HasSubstr("missing is granted but does not exist"));
}

TEST_F(Launch, AFailureInTheChildComesThroughTheGateWithItsStep) {
  model::Metadata metadata;
  auto spec = compile(plain_grant(), metadata, find_system_layout());
  ASSERT_TRUE(spec);
  const sys::Fd host(::open("/etc/hostname", O_PATH | O_CLOEXEC)); // no program
  auto spawned = spawn({.spec = *spec,
                        .ids = {.uid = 0x70000012, .gid = 0x70000012},
                        .host = host.get(),
                        .link = 0,
                        .boot = 0,
                        .output = 1,
                        .errors = 2,
                        .arguments = {}});
  ASSERT_TRUE(spawned);
  siginfo_t info{};
  ASSERT_EQ(::waitid(P_PIDFD, static_cast<id_t>(spawned->pidfd.get()), &info, WEXITED), 0);
  const auto report = receive_report(spawned->gate.get());
  ASSERT_TRUE(report && *report);
  const auto* failed = std::get_if<GateFailed>(&**report);
  ASSERT_NE(failed, nullptr);
  EXPECT_EQ(failed->step, Step::Exec);
  EXPECT_THAT(failed->error_number, AnyOf(EACCES, ENOEXEC));
}

TEST_F(Launch, LeavesNoMountsBehind) {
  const auto count = [] {
    const auto text = sys::read_file("/proc/self/mountinfo", mib(1));
    return text ? std::ranges::count(*text, '\n') : -1;
  };
  const auto before = count();
  {
    Inmate inmate = must_launch({.grant = plain_grant()});
  }
  EXPECT_EQ(count(), before);
}

TEST_F(Launch, TheGroupsLimitsStandAndTheGroupKillsAndFreezes) {
  Cgroups cgroups = Cgroups::open(0xFEEDF00D);
  if (cgroups.layout() == CgroupLayout::None) GTEST_SKIP() << cgroups.reason();
  auto group = cgroups.make("inmate", PluginId{1}, Generation{1},
                            {.memory_bytes = 64U << 20, .cpu_percent = 50, .processes = 16});
  ASSERT_TRUE(group) << group.error().text;
  {
    Inmate inmate = must_launch({.grant = plain_grant(), .group = &*group});
    EXPECT_EQ(group->walls(), cgroups.walls());
    EXPECT_TRUE(group->freeze());
    EXPECT_TRUE(group->thaw());
    EXPECT_THAT(inmate.ask("thread"), Optional(0));
    EXPECT_TRUE(group->freeze());
    EXPECT_TRUE(group->kill());
    const auto ended = inmate.wait();
    ASSERT_TRUE(ended);
    EXPECT_EQ(ended->value, SIGKILL);
  }
  EXPECT_TRUE(group->remove());
  cgroups.remove();
}

// --- an ordinary user ---

// In a process of its own: nobody's uid, a user and a mount namespace with a single id, then a
// launch.
int launch_as_ordinary_user(int report) {
  const auto say = [&](const std::string& text, int status) {
    (void)sys::write_all(report, text);
    return status;
  };
  constexpr uid_t kNobody = 65534;
  if (::geteuid() == 0 &&
      (::setgroups(0, nullptr) != 0 || ::setresgid(kNobody, kNobody, kNobody) != 0 ||
       ::setresuid(kNobody, kNobody, kNobody) != 0))
    return say("cannot become nobody", 77);
  if (::access(SANDBOX_INMATE, X_OK) != 0) return say("nobody may not enter the build folder", 77);
  (void)::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); // as a program started by that user would be
  const uid_t uid = ::getuid();
  const gid_t gid = ::getgid();
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
#if defined(__SANITIZE_THREAD__) // user_namespaces(7): EINVAL is for who has a second thread
    if (errno == EINVAL) return say("ThreadSanitizer has a thread of its own here", 77);
#endif
    return say(fmt::format("no user namespaces for ordinary users: {}", std::strerror(errno)), 77);
  }
  const sys::Fd proc(::open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!sys::write_control(proc.get(), "setgroups", "deny") ||
      !sys::write_control(proc.get(), "uid_map", fmt::format("0 {} 1\n", uid)) ||
      !sys::write_control(proc.get(), "gid_map", fmt::format("0 {} 1\n", gid)))
    return say("cannot map the ids", 77);
  auto inmate = Inmate::launch(
      {.grant = plain_grant(), .ids = {.uid = 0, .gid = 0, .own = false, .drop_groups = false}});
  if (!inmate) return say(inmate.error().text, 1);
  const model::WallSet standing = combine_walls(inmate->report().standing, inmate->seen(), 0);
  const model::WallSet missing = model::required_walls() & ~standing;
  if (missing != 0)
    return say(model::wall_names(missing) + " missing; " + inmate->report().text, 1);
  if (inmate->ask("socket") != EPERM || inmate->ask("thread") != 0 ||
      inmate->ask("read /etc/passwd") != EACCES)
    return say("the inmate answers wrong", 1);
  return say("level " + std::string(model::level_name(model::level_of(standing))), 0);
}

TEST(UserLaunch, AnOrdinaryUserGetsAllRequiredWalls) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const pid_t child = ::fork();
  if (child == 0) ::_exit(launch_as_ordinary_user(ends[1]));
  ::close(ends[1]);
  const auto text = sys::read_all(ends[0], kib(4));
  ::close(ends[0]);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77) GTEST_SKIP() << *text;
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << (text ? *text : "");
}

} // namespace
} // namespace mohhos::sandbox::tests
