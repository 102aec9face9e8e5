#include "sandbox/filter.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "sandbox/program.hpp"

namespace mohhos::sandbox {
namespace {

using model::Capability;

// Who may make a call: everybody, those with a capability, or those without it.
enum class Who : unsigned char { Everybody, With, Without };
struct Opener {
  Who who = Who::Everybody;
  Capability capability{};
};
constexpr Opener kEverybody{};
constexpr Opener with(Capability capability) {
  return {Who::With, capability};
}
constexpr Opener kFiles = with(Capability::Filesystem);
constexpr Opener kDevices = with(Capability::Hardware);
constexpr Opener kProcesses = with(Capability::CreateProcesses);
constexpr Opener kNoProcesses{Who::Without, Capability::CreateProcesses};

// --- calls that are free of conditions ---
// Named by number, so that a kernel header that lacks one fails to compile. What is in no table is
// Notify.

constexpr std::array kFree = {
    // reading, writing, waiting
    SYS_read,
    SYS_write,
    SYS_readv,
    SYS_writev,
    SYS_pread64,
    SYS_pwrite64,
    SYS_preadv,
    SYS_pwritev,
    SYS_preadv2,
    SYS_pwritev2,
    SYS_lseek,
    SYS_close,
    SYS_close_range,
    SYS_dup,
    SYS_dup2,
    SYS_dup3,
    SYS_pipe,
    SYS_pipe2,
    SYS_poll,
    SYS_ppoll,
    SYS_select,
    SYS_pselect6,
    SYS_epoll_create,
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_epoll_wait,
    SYS_epoll_pwait,
    SYS_epoll_pwait2,
    SYS_eventfd,
    SYS_eventfd2,
    SYS_timerfd_create,
    SYS_timerfd_settime,
    SYS_timerfd_gettime,
    // the link and what else the host was given; no sendmsg: it could pass descriptors on
    SYS_recvfrom,
    SYS_recvmsg,
    SYS_recvmmsg,
    SYS_shutdown,
    SYS_getsockopt,
    SYS_getsockname,
    SYS_getpeername,
    // files by path: the mounts and Landlock decide. Opening is not here: the warden logs it
    SYS_stat,
    SYS_lstat,
    SYS_fstat,
    SYS_newfstatat,
    SYS_statx,
    SYS_access,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_readlink,
    SYS_readlinkat,
    SYS_getcwd,
    SYS_getdents,
    SYS_getdents64,
    SYS_statfs,
    SYS_fstatfs,
    SYS_mkdir,
    SYS_mkdirat,
    SYS_rmdir,
    SYS_unlink,
    SYS_unlinkat,
    SYS_rename,
    SYS_renameat,
    SYS_renameat2,
    SYS_symlink,
    SYS_symlinkat,
    SYS_truncate,
    SYS_ftruncate,
    SYS_fsync,
    SYS_fdatasync,
    SYS_flock,
    SYS_umask,
    SYS_fadvise64,
    SYS_readahead,
    // memory; mmap, mprotect and madvise have conditions
    SYS_munmap,
    SYS_mremap,
    SYS_msync,
    SYS_brk,
    SYS_mlock,
    SYS_munlock,
    SYS_mlock2,
    SYS_membarrier,
    // time
    SYS_nanosleep,
    SYS_clock_nanosleep,
    SYS_clock_gettime,
    SYS_clock_getres,
    SYS_gettimeofday,
    SYS_time,
    SYS_times,
    SYS_alarm,
    SYS_getitimer,
    SYS_setitimer,
    SYS_timer_create,
    SYS_timer_settime,
    SYS_timer_gettime,
    SYS_timer_getoverrun,
    SYS_timer_delete,
    // threads and signals of its own
    SYS_futex,
    SYS_futex_waitv,
    SYS_set_robust_list,
    SYS_get_robust_list,
    SYS_set_tid_address,
    SYS_rseq,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_sched_getparam,
    SYS_sched_getscheduler,
    SYS_sched_get_priority_max,
    SYS_sched_get_priority_min,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_rt_sigpending,
    SYS_rt_sigtimedwait,
    SYS_rt_sigsuspend,
    SYS_sigaltstack,
    SYS_pause,
    SYS_restart_syscall,
    SYS_exit,
    SYS_exit_group,
    SYS_signalfd,
    SYS_signalfd4,
    // who and where it is
    SYS_getpid,
    SYS_gettid,
    SYS_getppid,
    SYS_getpgrp,
    SYS_getpgid,
    SYS_getsid,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_getresuid,
    SYS_getresgid,
    SYS_getgroups,
    SYS_capget,
    SYS_uname,
    SYS_sysinfo,
    SYS_getrlimit,
    SYS_getrusage,
    SYS_getcpu,
    SYS_getpriority,
    SYS_getrandom,
};

constexpr std::array kFreeWithFiles = {
    SYS_chmod,           SYS_fchmod,          SYS_fchmodat,   SYS_link,      SYS_linkat,
    SYS_utime,           SYS_utimes,          SYS_utimensat,  SYS_futimesat, SYS_sendfile,
    SYS_copy_file_range, SYS_sync_file_range, SYS_getxattr,   SYS_lgetxattr, SYS_fgetxattr,
    SYS_listxattr,       SYS_llistxattr,      SYS_flistxattr,
};

constexpr std::array kFreeWithProcesses = {
    SYS_fork,
    SYS_vfork,
    SYS_execve,
    SYS_execveat,
    SYS_wait4,
    SYS_waitid,
    SYS_setpgid,
    SYS_setsid,
    SYS_kill,
    SYS_tkill,
    SYS_tgkill,
    SYS_rt_sigqueueinfo,
    SYS_rt_tgsigqueueinfo,
    SYS_chdir,
    SYS_fchdir,
    SYS_setrlimit,
};

// Nothing honest makes these calls: the process ends.
constexpr std::array kKilling = {
    SYS_init_module,     SYS_finit_module, SYS_delete_module,  SYS_create_module, SYS_kexec_load,
    SYS_kexec_file_load, SYS_reboot,       SYS_swapon,         SYS_swapoff,       SYS_iopl,
    SYS_ioperm,          SYS_pivot_root,   SYS_lookup_dcookie, SYS_uselib,
};

// BPF cannot read what clone3's pointer points to, so there is no clone3: callers fall back to
// clone.
constexpr std::array kMissing = {SYS_clone3};

// --- calls with conditions ---

struct Rule {
  Opener opener;
  int number;
  std::array<Condition, 2> conditions{};
  std::size_t count = 0;
};
constexpr Rule allow_if(Opener opener, int number, Condition first) {
  return {opener, number, {first}, 1};
}
constexpr Rule allow_if(Opener opener, int number, Condition first, Condition second) {
  return {opener, number, {first, second}, 2};
}

constexpr std::uint64_t kThreadFlags =
    CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
constexpr std::uint64_t kThreadExtras =
    CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | CLONE_DETACHED;
constexpr std::uint64_t kNeverInClone = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
                                        CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET |
                                        CLONE_PTRACE | CLONE_UNTRACED | CLONE_PARENT;
constexpr std::uint32_t kOwnPid = 1; // the plugin is the first process of its pid namespace
constexpr int kSetVma = 0x53564d41;  // PR_SET_VMA: names for anonymous memory
constexpr int kGetMdwe = 66;
constexpr std::uint32_t kSetFs = 0x1002; // ARCH_SET_FS: an exec'ed program's own ld.so

constexpr std::array kRules = {
    // memory is never writable and executable, and executable only as a private view of a file: for
    // a plugin as long as the warden says so (ruling.hpp), for programs that may be exec'ed always
    allow_if(kEverybody, SYS_mmap, lacks(2, PROT_EXEC)),
    allow_if(kProcesses, SYS_mmap, Condition{2, PROT_WRITE | PROT_EXEC, PROT_EXEC},
             lacks(3, MAP_SHARED | MAP_ANONYMOUS)),
    allow_if(kEverybody, SYS_mprotect, lacks(2, PROT_EXEC)),
    // threads, not processes; and with can_create_processes no new namespaces
    allow_if(kNoProcesses, SYS_clone, Condition{0, ~kThreadExtras, kThreadFlags}),
    allow_if(kProcesses, SYS_clone, lacks(0, kNeverInClone)),
    // signals to itself
    allow_if(kEverybody, SYS_kill, equals32(0, kOwnPid)),
    allow_if(kEverybody, SYS_tgkill, equals32(0, kOwnPid)),
    allow_if(kEverybody, SYS_rt_sigqueueinfo, equals32(0, kOwnPid)),
    allow_if(kEverybody, SYS_rt_tgsigqueueinfo, equals32(0, kOwnPid)),
    // send(2), not sendto an address
    allow_if(kEverybody, SYS_sendto, is_null(4)),
    // looking at its limits, not changing them
    allow_if(kEverybody, SYS_prlimit64, equals32(0, 0), is_null(2)),
    allow_if(kEverybody, SYS_sched_setaffinity, equals32(0, 0)),
    // no punching of holes into what others share
    allow_if(kEverybody, SYS_fallocate, equals32(1, 0)),
    allow_if(kEverybody, SYS_fallocate, equals32(1, FALLOC_FL_KEEP_SIZE)),
    allow_if(kProcesses, SYS_arch_prctl, equals32(0, kSetFs)),
    // the host's second filter. A plugin may only forbid itself more, and never listen
    allow_if(kNoProcesses, SYS_seccomp, equals32(0, SECCOMP_SET_MODE_FILTER),
             equals32(1, SECCOMP_FILTER_FLAG_TSYNC)),
};

// Calls whose one argument is a word out of a list.
struct Choice {
  int number;
  std::uint8_t argument;
  std::uint32_t value;
};
constexpr std::array kChoices = {
    // no F_SETFL (O_NONBLOCK belongs to everybody who shares the description), no F_ADD_SEALS, no
    // F_SETOWN
    Choice{SYS_fcntl, 1, F_DUPFD}, Choice{SYS_fcntl, 1, F_DUPFD_CLOEXEC},
    Choice{SYS_fcntl, 1, F_GETFD}, Choice{SYS_fcntl, 1, F_SETFD}, Choice{SYS_fcntl, 1, F_GETFL},
    Choice{SYS_fcntl, 1, F_GETLK}, Choice{SYS_fcntl, 1, F_SETLK}, Choice{SYS_fcntl, 1, F_SETLKW},
    Choice{SYS_fcntl, 1, F_OFD_GETLK}, Choice{SYS_fcntl, 1, F_OFD_SETLK},
    Choice{SYS_fcntl, 1, F_OFD_SETLKW}, Choice{SYS_fcntl, 1, F_GET_SEALS},
    Choice{SYS_fcntl, 1, F_GETPIPE_SZ},
    // no FIONBIO, for the same reason; TCGETS and TIOCGWINSZ because stdio asks
    Choice{SYS_ioctl, 1, FIONREAD}, Choice{SYS_ioctl, 1, FIOCLEX}, Choice{SYS_ioctl, 1, FIONCLEX},
    Choice{SYS_ioctl, 1, TCGETS}, Choice{SYS_ioctl, 1, TIOCGWINSZ},
    // MADV_REMOVE wipes shared memory even under seals, but only through a writable mapping, and
    // who has one of a ring owns it: the host gives idle rings back with it. No MADV_HWPOISON, no
    // MADV_MERGEABLE
    Choice{SYS_madvise, 2, MADV_NORMAL}, Choice{SYS_madvise, 2, MADV_RANDOM},
    Choice{SYS_madvise, 2, MADV_SEQUENTIAL}, Choice{SYS_madvise, 2, MADV_WILLNEED},
    Choice{SYS_madvise, 2, MADV_DONTNEED}, Choice{SYS_madvise, 2, MADV_FREE},
    Choice{SYS_madvise, 2, MADV_REMOVE}, Choice{SYS_madvise, 2, MADV_DONTFORK},
    Choice{SYS_madvise, 2, MADV_DOFORK}, Choice{SYS_madvise, 2, MADV_HUGEPAGE},
    Choice{SYS_madvise, 2, MADV_NOHUGEPAGE}, Choice{SYS_madvise, 2, MADV_DONTDUMP},
    Choice{SYS_madvise, 2, MADV_WIPEONFORK}, Choice{SYS_madvise, 2, MADV_KEEPONFORK},
    Choice{SYS_madvise, 2, MADV_COLD}, Choice{SYS_madvise, 2, MADV_PAGEOUT},
    Choice{SYS_madvise, 2, MADV_POPULATE_READ}, Choice{SYS_madvise, 2, MADV_POPULATE_WRITE},
    Choice{SYS_prctl, 0, PR_SET_NAME}, Choice{SYS_prctl, 0, PR_GET_NAME},
    Choice{SYS_prctl, 0, PR_GET_DUMPABLE}, Choice{SYS_prctl, 0, PR_GET_SECCOMP},
    Choice{SYS_prctl, 0, PR_CAPBSET_READ}, Choice{SYS_prctl, 0, PR_GET_SECUREBITS},
    Choice{SYS_prctl, 0, PR_GET_NO_NEW_PRIVS}, Choice{SYS_prctl, 0, PR_SET_TIMERSLACK},
    Choice{SYS_prctl, 0, PR_GET_TIMERSLACK}, Choice{SYS_prctl, 0, PR_GET_PDEATHSIG},
    Choice{SYS_prctl, 0, kSetVma}, Choice{SYS_prctl, 0, kGetMdwe},
    Choice{SYS_personality, 0, 0xFFFFFFFFU}, // only asks
};

// With can_access_hardware: every ioctl whose type byte is not 'T', the terminals' (TIOCSTI,
// TIOCLINUX, FIONBIO). 'Not equal' in a filter that only adds what is allowed: one of the eight
// bits differs.
constexpr unsigned kTypeShift = 8;
constexpr unsigned kTerminalType = 'T';

// What stage 2 stops: whatever makes memory executable, or could, and filters that would hide that
// from us.
struct Trap {
  int number;
  Condition condition; // mask 0: always
};
constexpr std::array kTraps = {
    Trap{SYS_mmap, {2, PROT_EXEC, PROT_EXEC}},
    Trap{SYS_mprotect, {2, PROT_EXEC, PROT_EXEC}},
    Trap{SYS_pkey_mprotect, {2, PROT_EXEC, PROT_EXEC}},
    Trap{SYS_shmat, {}},
    Trap{SYS_remap_file_pages, {}},
    Trap{SYS_memfd_create, {}},
    Trap{SYS_memfd_secret, {}},
    Trap{SYS_execve, {}},
    Trap{SYS_execveat, {}},
    Trap{SYS_seccomp, {}},
};

// --- tables → programs ---

bool is_open(Opener opener, model::CapabilitySet granted) {
  return opener.who == Who::Everybody ||
         granted.has(opener.capability) == (opener.who == Who::With);
}

bool contains(std::span<const int> calls, int number) {
  return std::ranges::find(calls, number) != calls.end();
}

// The free list that has the call.
std::optional<Opener> find_free(int number) {
  if (contains(kFree, number)) return kEverybody;
  if (contains(kFreeWithFiles, number)) return kFiles;
  if (contains(kFreeWithProcesses, number)) return kProcesses;
  return std::nullopt;
}

Result<> add_all(Program& program, std::uint32_t action, std::span<const int> calls) {
  for (const int call : calls) TRY(program.add(action, call));
  return {};
}

// A call that is free for this plugin needs no conditions (and libseccomp takes either, not both).
bool is_free(int number, model::CapabilitySet granted) {
  const auto opener = find_free(number);
  return opener && is_open(*opener, granted);
}

Result<> add_conditional(Program& program, model::CapabilitySet granted) {
  for (const Rule& rule : kRules)
    if (is_open(rule.opener, granted) && !is_free(rule.number, granted))
      TRY(program.add(SCMP_ACT_ALLOW, rule.number, std::span(rule.conditions).first(rule.count)));
  for (const Choice& choice : kChoices) {
    const Condition condition = equals32(choice.argument, choice.value);
    TRY(program.add(SCMP_ACT_ALLOW, choice.number, {&condition, 1}));
  }
  if (is_open(kDevices, granted))
    for (unsigned bit = 0; bit < 8; ++bit) {
      const std::uint64_t mask = std::uint64_t{1} << (kTypeShift + bit);
      const Condition condition{1, mask, ~(std::uint64_t{kTerminalType} << kTypeShift) & mask};
      TRY(program.add(SCMP_ACT_ALLOW, SYS_ioctl, {&condition, 1}));
    }
  return {};
}

Result<std::vector<sock_filter>> compile_confine(model::CapabilitySet granted) {
  TRY(Program program, Program::open(SCMP_ACT_NOTIFY));
  TRY(add_all(program, SCMP_ACT_ALLOW, kFree));
  if (is_open(kFiles, granted)) TRY(add_all(program, SCMP_ACT_ALLOW, kFreeWithFiles));
  if (is_open(kProcesses, granted)) TRY(add_all(program, SCMP_ACT_ALLOW, kFreeWithProcesses));
  TRY(add_all(program, SCMP_ACT_KILL_PROCESS, kKilling));
  TRY(add_all(program, SCMP_ACT_ERRNO(ENOSYS), kMissing));
  TRY(add_conditional(program, granted));
  return std::move(program).finish(Program::Prelude::With);
}

Result<std::vector<sock_filter>> compile_tighten() {
  TRY(Program program, Program::open(SCMP_ACT_ALLOW));
  for (const Trap& trap : kTraps) {
    const std::size_t conditions = trap.condition.mask == 0 ? 0 : 1;
    TRY(program.add(SCMP_ACT_TRAP, trap.number, {&trap.condition, conditions}));
  }
  return std::move(program).finish(Program::Prelude::Without);
}

} // namespace

Result<FilterPair> compile_filters(model::CapabilitySet capabilities) {
  FilterPair pair;
  TRY(pair.confine, compile_confine(capabilities));
  // A plugin that may exec needs executable files mapped for as long as it lives, and a SIGSYS
  // would end the programs that it starts: stage 1 alone, which already knows no other executable
  // memory.
  if (!capabilities.has(Capability::CreateProcesses)) {
    TRY(pair.tighten, compile_tighten());
  }
  return pair;
}

Result<const FilterPair*> FilterCache::find(model::CapabilitySet capabilities) {
  constexpr std::array kMatters = {Capability::Filesystem, Capability::Hardware,
                                   Capability::CreateProcesses};
  model::CapabilitySet key;
  for (const Capability capability : kMatters)
    if (capabilities.has(capability)) key.add(capability);
  if (const auto found = pairs_.find(key.bits); found != pairs_.end()) return &found->second;
  TRY(FilterPair pair, compile_filters(key));
  return &pairs_.emplace(key.bits, std::move(pair)).first->second;
}

Opening find_opening(int syscall) noexcept {
  Opening opening;
  if (syscall < 0 || syscall > kLastKnownSyscall || contains(kMissing, syscall))
    opening.verdict = Verdict::Absent;
  if (contains(kKilling, syscall)) opening.verdict = Verdict::Kill;
  if (const auto opener = find_free(syscall)) {
    if (opener->who == Who::Everybody) opening.verdict = Verdict::Allow;
    opening.any_capability = opener->who == Who::With;
    opening.capability = opener->capability;
  }
  for (const Rule& rule : kRules) {
    if (rule.number != syscall) continue;
    if (rule.opener.who != Who::With)
      opening.conditional = true;
    else
      opening.any_capability = true, opening.capability = rule.opener.capability;
  }
  opening.conditional = opening.conditional || std::ranges::any_of(kChoices, [&](const Choice& c) {
                          return c.number == syscall;
                        });
  if (syscall == SYS_ioctl)
    opening.any_capability = true, opening.capability = Capability::Hardware;
  return opening;
}

} // namespace mohhos::sandbox
