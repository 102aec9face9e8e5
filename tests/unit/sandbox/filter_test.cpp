#include <array>
#include <cerrno>
#include <random>
#include <set>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "bpf.hpp"
#include "sandbox/filter.hpp"

namespace mohhos::sandbox {
namespace {

using model::Capability;
using model::CapabilitySet;
using Arguments = std::array<std::uint64_t, 6>;

constexpr std::uint32_t kAllow = SECCOMP_RET_ALLOW;
constexpr std::uint32_t kNotify = SECCOMP_RET_USER_NOTIF;
constexpr std::uint32_t kAbsent = SECCOMP_RET_ERRNO | ENOSYS;
constexpr std::uint32_t kKill = SECCOMP_RET_KILL_PROCESS;
constexpr std::uint32_t kTrap = SECCOMP_RET_TRAP;

constexpr std::array kSets = {CapabilitySet{}, CapabilitySet{0x01}, CapabilitySet{0x04},
                              CapabilitySet{0x08}, model::kAllCapabilities};

seccomp_data call(std::uint32_t number, const Arguments& arguments = {},
                  std::uint32_t arch = AUDIT_ARCH_X86_64) {
  seccomp_data data{};
  data.nr = static_cast<int>(number);
  data.arch = arch;
  for (std::size_t i = 0; i < arguments.size(); ++i) data.args[i] = arguments[i];
  return data;
}

std::uint32_t judge(const std::vector<sock_filter>& code, const seccomp_data& data) {
  const auto verdict = tests::run(code, data);
  EXPECT_TRUE(verdict) << "not a seccomp program";
  return verdict.value_or(0);
}

const FilterPair& filters(CapabilitySet granted) {
  static FilterCache cache;
  const auto pair = cache.find(granted);
  EXPECT_TRUE(pair);
  return **pair;
}

// --- the reference policy ---
// Stage 1 written down a second time, from the design and not from the table.

bool in(std::uint64_t value, std::initializer_list<std::uint64_t> list) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

// For the calls whose verdict depends on arguments; nothing for the others.
std::optional<bool> reference(std::uint32_t number, const Arguments& a, CapabilitySet granted) {
  const auto low = [&](std::size_t i) { return static_cast<std::uint32_t>(a[i]); };
  const bool processes = granted.has(Capability::CreateProcesses);
  switch (number) {
  case SYS_mmap:
    if ((a[2] & PROT_EXEC) == 0) return true;
    return processes && (a[2] & PROT_WRITE) == 0 && (a[3] & MAP_ANONYMOUS) == 0 &&
           (a[3] & MAP_SHARED) == 0;
  case SYS_mprotect: return (a[2] & PROT_EXEC) == 0;
  case SYS_clone: {
    if (processes) {
      for (const std::uint64_t flag :
           {CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID,
            CLONE_NEWNET, CLONE_PTRACE, CLONE_UNTRACED, CLONE_PARENT})
        if ((a[0] & flag) != 0) return false;
      return true;
    }
    const std::uint64_t must =
        CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
    const std::uint64_t may = CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID |
                              CLONE_CHILD_CLEARTID | CLONE_DETACHED;
    return (a[0] & must) == must && (a[0] & ~(must | may)) == 0;
  }
  case SYS_kill:
  case SYS_tgkill:
  case SYS_rt_sigqueueinfo:
  case SYS_rt_tgsigqueueinfo: return processes || low(0) == 1;
  case SYS_sendto: return a[4] == 0;
  case SYS_prlimit64: return low(0) == 0 && a[2] == 0;
  case SYS_sched_setaffinity: return low(0) == 0;
  case SYS_fallocate: return low(1) <= 1;
  case SYS_arch_prctl: return processes && low(0) == 0x1002;
  case SYS_seccomp: return !processes && low(0) == 1 && low(1) == 1;
  case SYS_personality: return low(0) == 0xFFFFFFFF;
  case SYS_fcntl: return in(low(1), {0, 1, 2, 3, 5, 6, 7, 36, 37, 38, 1030, 1032, 1034});
  case SYS_madvise:
    return in(low(2), {0, 1, 2, 3, 4, 8, 9, 10, 11, 14, 15, 16, 18, 19, 20, 21, 22, 23});
  case SYS_prctl:
    return in(low(0), {PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE, PR_GET_SECCOMP, PR_CAPBSET_READ,
                       PR_GET_SECUREBITS, PR_GET_NO_NEW_PRIVS, PR_SET_TIMERSLACK, PR_GET_TIMERSLACK,
                       PR_GET_PDEATHSIG, 0x53564d41, 66});
  case SYS_ioctl:
    if (in(low(1), {FIONREAD, FIOCLEX, FIONCLEX, TCGETS, TIOCGWINSZ})) return true;
    return granted.has(Capability::Hardware) && (low(1) >> 8 & 0xFF) != 'T';
  default: return std::nullopt;
  }
}

constexpr std::array kConditional = {SYS_mmap,
                                     SYS_mprotect,
                                     SYS_clone,
                                     SYS_kill,
                                     SYS_tgkill,
                                     SYS_rt_sigqueueinfo,
                                     SYS_rt_tgsigqueueinfo,
                                     SYS_sendto,
                                     SYS_prlimit64,
                                     SYS_sched_setaffinity,
                                     SYS_fallocate,
                                     SYS_arch_prctl,
                                     SYS_seccomp,
                                     SYS_personality,
                                     SYS_fcntl,
                                     SYS_madvise,
                                     SYS_prctl,
                                     SYS_ioctl};

// --- tests ---

TEST(Filter, ForeignArchitecturesEndTheProcessWhateverTheyCall) {
  constexpr std::array<std::uint32_t, 6> kForeign = {
      AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64, AUDIT_ARCH_ARM, 0, 0xFFFFFFFF, AUDIT_ARCH_X86_64 ^ 1};
  for (const CapabilitySet granted : kSets)
    for (const std::uint32_t arch : kForeign)
      for (std::uint32_t number = 0; number < 600; ++number)
        ASSERT_EQ(judge(filters(granted).confine, call(number, {}, arch)), kKill)
            << number << " arch " << arch;
}

TEST(Filter, TheX32BitIsNeverAllowed) {
  for (const CapabilitySet granted : kSets)
    for (std::uint32_t number = 0; number < 1024; ++number)
      ASSERT_EQ(judge(filters(granted).confine, call(number | 0x40000000U)), kKill) << number;
}

TEST(Filter, NumbersThatNobodyKnowAreENOSYS) {
  const std::vector<sock_filter>& code = filters({}).confine;
  for (std::uint32_t number = kLastKnownSyscall + 1; number < 2000; ++number)
    ASSERT_EQ(judge(code, call(number)), kAbsent) << number;
  for (std::uint32_t number = 335; number < 424; ++number)
    ASSERT_EQ(judge(code, call(number)), kAbsent) << number;
  EXPECT_EQ(judge(code, call(0x3FFFFFFF)), kAbsent);
  EXPECT_EQ(judge(code, call(0xFFFFFFFF)), kAbsent);
  EXPECT_EQ(judge(code, call(SYS_clone3)), kAbsent);
}

TEST(Filter, DangerousCallsAreNeverAllowed) {
  constexpr std::array kDangerous = {SYS_ptrace,
                                     SYS_process_vm_readv,
                                     SYS_process_vm_writev,
                                     SYS_pidfd_open,
                                     SYS_pidfd_getfd,
                                     SYS_kcmp,
                                     SYS_process_madvise,
                                     SYS_bpf,
                                     SYS_perf_event_open,
                                     SYS_userfaultfd,
                                     SYS_io_uring_setup,
                                     SYS_io_uring_enter,
                                     SYS_io_uring_register,
                                     SYS_keyctl,
                                     SYS_add_key,
                                     SYS_request_key,
                                     SYS_unshare,
                                     SYS_setns,
                                     SYS_mount,
                                     SYS_umount2,
                                     SYS_fsopen,
                                     SYS_fsmount,
                                     SYS_move_mount,
                                     SYS_open_tree,
                                     SYS_chroot,
                                     SYS_pivot_root,
                                     SYS_socket,
                                     SYS_socketpair,
                                     SYS_connect,
                                     SYS_bind,
                                     SYS_sendmsg,
                                     SYS_sendmmsg,
                                     SYS_memfd_create,
                                     SYS_memfd_secret,
                                     SYS_remap_file_pages,
                                     SYS_pkey_mprotect,
                                     SYS_shmat,
                                     SYS_shmget,
                                     SYS_setuid,
                                     SYS_setresuid,
                                     SYS_capset,
                                     SYS_open,
                                     SYS_openat,
                                     SYS_openat2,
                                     SYS_creat,
                                     SYS_mknod,
                                     SYS_mknodat,
                                     SYS_vmsplice,
                                     SYS_splice,
                                     SYS_tee,
                                     SYS_process_mrelease,
                                     SYS_name_to_handle_at,
                                     SYS_open_by_handle_at,
                                     SYS_quotactl,
                                     SYS_syslog,
                                     SYS_acct};
  const Arguments zeros{};
  for (const CapabilitySet granted : kSets)
    for (const int number : kDangerous) {
      const std::uint32_t verdict =
          judge(filters(granted).confine, call(static_cast<std::uint32_t>(number), zeros));
      ASSERT_TRUE(verdict == kNotify || verdict == kKill) << number;
    }
}

TEST(Filter, ModulesKexecAndRebootEndTheProcess) {
  for (const int number : {SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load,
                           SYS_kexec_file_load, SYS_reboot, SYS_swapon, SYS_iopl, SYS_ioperm})
    EXPECT_EQ(
        judge(filters(model::kAllCapabilities).confine, call(static_cast<std::uint32_t>(number))),
        kKill);
}

TEST(Filter, CapabilitiesOnlyEverOpenCalls) {
  const std::vector<sock_filter>& least = filters({}).confine;
  const std::vector<sock_filter>& most = filters(model::kAllCapabilities).confine;
  for (std::uint32_t number = 0; number <= kLastKnownSyscall; ++number) {
    if (number == SYS_seccomp)
      continue; // only for the second filter, which a plugin that may exec does not have
    if (judge(least, call(number)) == kAllow) {
      EXPECT_EQ(judge(most, call(number)), kAllow) << number;
    }
  }
  EXPECT_EQ(judge(least, call(SYS_execve)), kNotify);
  EXPECT_EQ(judge(most, call(SYS_execve)), kAllow);
}

TEST(Filter, TerminalIoctlsAreRefusedWithAnyUpperHalf) {
  for (const CapabilitySet granted : kSets)
    for (const std::uint64_t upper :
         {std::uint64_t{0}, std::uint64_t{1} << 32, ~std::uint64_t{0} << 32})
      for (const std::uint64_t command :
           {TIOCSTI, 0x541C /* TIOCLINUX */, FIONBIO, FIOASYNC, TIOCSCTTY})
        EXPECT_EQ(judge(filters(granted).confine, call(SYS_ioctl, {0, command | upper})), kNotify)
            << command;
}

TEST(Filter, AgreesWithTheReferencePolicyOnRandomArguments) {
  std::mt19937_64 random(4); // the same every time
  const auto argument = [&]() -> std::uint64_t {
    switch (random() % 6) {
    case 0: return random() % 64;
    case 1: return random() % 2048;
    case 2: return std::uint64_t{1} << (random() % 64);
    case 3:
      return (random() & 0xFFFFFFFF00000000U) | random() % 128; // a high half that means nothing
    case 4: return static_cast<std::uint32_t>(random());
    default: return random();
    }
  };
  constexpr std::uint64_t kThread = 0x3D0F00; // what pthread_create passes
  for (int round = 0; round < 400'000; ++round) {
    const CapabilitySet granted = kSets[random() % kSets.size()];
    const auto number = static_cast<std::uint32_t>(kConditional[random() % kConditional.size()]);
    Arguments arguments{};
    for (std::uint64_t& value : arguments) value = argument();
    if (number == SYS_clone && random() % 2 == 0)
      arguments[0] = kThread ^ (random() % 3 == 0 ? argument() : 0);
    const auto expected = reference(number, arguments, granted);
    ASSERT_TRUE(expected) << number;
    const std::uint32_t verdict = judge(filters(granted).confine, call(number, arguments));
    ASSERT_EQ(verdict, *expected ? kAllow : kNotify)
        << "call " << number << " " << std::hex << arguments[0] << " " << arguments[1] << " "
        << arguments[2] << " " << arguments[3] << " " << arguments[4] << " capabilities "
        << int{granted.bits};
  }
}

TEST(Filter, UnconditionalCallsDoNotLookAtArguments) {
  std::mt19937_64 random(5);
  const std::set<int> conditional(kConditional.begin(), kConditional.end());
  for (const CapabilitySet granted : kSets)
    for (std::uint32_t number = 0; number < 500; ++number) {
      if (conditional.contains(static_cast<int>(number))) continue;
      const std::uint32_t first = judge(filters(granted).confine, call(number));
      for (int round = 0; round < 8; ++round)
        ASSERT_EQ(judge(filters(granted).confine,
                        call(number, {random(), random(), random(), random(), random(), random()})),
                  first)
            << number;
    }
}

TEST(Filter, TheSecondStopsWhateverCouldBeExecuted) {
  const std::vector<sock_filter>& code = filters({}).tighten;
  for (const int number :
       {SYS_execve, SYS_execveat, SYS_memfd_create, SYS_memfd_secret, SYS_shmat, SYS_seccomp})
    EXPECT_EQ(judge(code, call(static_cast<std::uint32_t>(number))), kTrap);
  for (const int number : {SYS_mmap, SYS_mprotect, SYS_pkey_mprotect}) {
    const auto n = static_cast<std::uint32_t>(number);
    EXPECT_EQ(judge(code, call(n, {0, 4096, PROT_READ | PROT_EXEC})), kTrap);
    EXPECT_EQ(judge(code, call(n, {0, 4096, PROT_READ | PROT_EXEC | 0x01000000})),
              kTrap); // PROT_GROWSDOWN
    EXPECT_EQ(judge(code, call(n, {0, 4096, PROT_READ | PROT_WRITE})), kAllow);
  }
  EXPECT_EQ(judge(code, call(SYS_read)), kAllow);
  EXPECT_EQ(judge(code, call(SYS_read, {}, AUDIT_ARCH_I386)), kKill);
}

TEST(Filter, APluginThatMayExecHasNoSecondFilter) {
  EXPECT_TRUE(filters(CapabilitySet{0x08}).tighten.empty());
  EXPECT_FALSE(filters(CapabilitySet{0x01}).tighten.empty());
}

TEST(FilterCache, CompilesOncePerSetThatMatters) {
  FilterCache cache;
  CapabilitySet other;
  other.add(Capability::AiEngine); // opens no system call
  other.custom = 7;
  const auto first = cache.find({});
  const auto second = cache.find(other);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(*first, *second);
}

TEST(FindOpening, NamesTheCapability) {
  EXPECT_EQ(find_opening(SYS_read).verdict, Verdict::Allow);
  EXPECT_EQ(find_opening(SYS_reboot).verdict, Verdict::Kill);
  EXPECT_EQ(find_opening(SYS_clone3).verdict, Verdict::Absent);
  const Opening exec = find_opening(SYS_execve);
  EXPECT_EQ(exec.verdict, Verdict::Notify);
  EXPECT_TRUE(exec.any_capability);
  EXPECT_EQ(exec.capability, Capability::CreateProcesses);
  EXPECT_FALSE(find_opening(SYS_ptrace).any_capability);
  EXPECT_TRUE(find_opening(SYS_mmap).conditional);
}

} // namespace
} // namespace mohhos::sandbox
