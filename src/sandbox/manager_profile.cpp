// The manager's own filter. It is the process that parses what strangers write (manifests, ELF
// files, frames on the control socket), so whoever takes it over should find little: no exec, no
// fork, no ptrace, no mounts, no network.
#include <array>
#include <cerrno>

#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/filter.hpp"
#include "sandbox/program.hpp"

namespace mohhos::sandbox {
namespace {

constexpr std::array kFree = {
    // descriptors and waiting
    SYS_read,
    SYS_write,
    SYS_readv,
    SYS_writev,
    SYS_pread64,
    SYS_pwrite64,
    SYS_preadv,
    SYS_pwritev,
    SYS_lseek,
    SYS_close,
    SYS_close_range,
    SYS_dup,
    SYS_dup2,
    SYS_dup3,
    SYS_fcntl,
    SYS_pipe,
    SYS_pipe2,
    SYS_poll,
    SYS_ppoll,
    SYS_select,
    SYS_pselect6,
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_epoll_wait,
    SYS_epoll_pwait,
    SYS_epoll_pwait2,
    SYS_eventfd2,
    SYS_timerfd_create,
    SYS_timerfd_settime,
    SYS_timerfd_gettime,
    SYS_signalfd4,
    SYS_inotify_init1,
    SYS_inotify_add_watch,
    SYS_inotify_rm_watch,
    // Unix sockets; socket and socketpair have conditions
    SYS_connect,
    SYS_bind,
    SYS_listen,
    SYS_accept,
    SYS_accept4,
    SYS_sendto,
    SYS_sendmsg,
    SYS_sendmmsg,
    SYS_recvfrom,
    SYS_recvmsg,
    SYS_recvmmsg,
    SYS_shutdown,
    SYS_getsockopt,
    SYS_setsockopt,
    SYS_getsockname,
    SYS_getpeername,
    // files
    SYS_open,
    SYS_openat,
    SYS_openat2,
    SYS_creat,
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
    SYS_chdir,
    SYS_fchdir,
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
    SYS_link,
    SYS_linkat,
    SYS_symlink,
    SYS_symlinkat,
    SYS_truncate,
    SYS_ftruncate,
    SYS_fallocate,
    SYS_fsync,
    SYS_fdatasync,
    SYS_sync_file_range,
    SYS_flock,
    SYS_umask,
    SYS_chmod,
    SYS_fchmod,
    SYS_fchmodat,
    SYS_chown,
    SYS_fchown,
    SYS_fchownat,
    SYS_utimensat,
    SYS_fadvise64,
    SYS_readahead,
    SYS_sendfile,
    SYS_copy_file_range,
    SYS_memfd_create,
    // memory; mmap and mprotect have conditions
    SYS_munmap,
    SYS_mremap,
    SYS_msync,
    SYS_madvise,
    SYS_brk,
    SYS_mlock,
    SYS_munlock,
    SYS_mincore,
    SYS_membarrier,
    // time
    SYS_nanosleep,
    SYS_clock_nanosleep,
    SYS_clock_gettime,
    SYS_clock_getres,
    SYS_gettimeofday,
    SYS_time,
    SYS_times,
    // threads, signals, itself
    SYS_futex,
    SYS_set_robust_list,
    SYS_get_robust_list,
    SYS_set_tid_address,
    SYS_rseq,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_sched_setaffinity,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_rt_sigpending,
    SYS_rt_sigtimedwait,
    SYS_rt_sigsuspend,
    SYS_sigaltstack,
    SYS_restart_syscall,
    SYS_exit,
    SYS_exit_group,
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
    SYS_getrandom,
    SYS_prctl,
    SYS_waitid,
    // plugins, by pidfd: to watch them. The warden does the killing
    SYS_pidfd_open,
    SYS_pidfd_send_signal,
};

struct Rule {
  int number;
  std::array<Condition, 2> conditions{};
  std::size_t count = 0;
};
constexpr std::uint64_t kThreadFlags =
    CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
constexpr std::uint64_t kThreadExtras =
    CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | CLONE_DETACHED;
constexpr std::array kRules = {
    Rule{SYS_mmap, {lacks(2, PROT_EXEC)}, 1},
    // a library of the name service that is loaded late: a private view of a file, never writable
    Rule{SYS_mmap,
         {Condition{2, PROT_WRITE | PROT_EXEC, PROT_EXEC}, lacks(3, MAP_SHARED | MAP_ANONYMOUS)},
         2},
    Rule{SYS_mprotect, {lacks(2, PROT_EXEC)}, 1},
    Rule{SYS_clone, {Condition{0, ~kThreadExtras, kThreadFlags}}, 1},
    Rule{SYS_socket, {equals32(0, AF_UNIX)}, 1},
    Rule{SYS_socketpair, {equals32(0, AF_UNIX)}, 1},
    Rule{SYS_prlimit64, {equals32(0, 0)}, 1},
    Rule{SYS_ioctl, {equals32(1, FIONREAD)}, 1},
    Rule{SYS_ioctl, {equals32(1, TIOCOUTQ)}, 1}, // SIOCOUTQ: does a peer read its link
    Rule{SYS_ioctl, {equals32(1, FIONBIO)}, 1},
    Rule{SYS_ioctl, {equals32(1, FIOCLEX)}, 1},
    Rule{SYS_ioctl, {equals32(1, TCGETS)}, 1},
    Rule{SYS_ioctl, {equals32(1, TIOCGWINSZ)}, 1},
};

Result<> install(const std::vector<sock_filter>& filter) {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno("PR_SET_NO_NEW_PRIVS");
  const sock_fprog program{static_cast<unsigned short>(filter.size()),
                           const_cast<sock_filter*>(filter.data())};
  const long result =
      ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
  if (result > 0)
    return fail(Code::Failed, "the manager's filter: thread {} does not take it", result);
  if (result < 0) return fail_errno("the manager's filter: seccomp");
  return {};
}

} // namespace

Result<> confine_manager() {
  TRY(Program program, Program::open(SCMP_ACT_ERRNO(EPERM)));
  for (const int call : kFree) TRY(program.add(SCMP_ACT_ALLOW, call));
  for (const Rule& rule : kRules)
    TRY(program.add(SCMP_ACT_ALLOW, rule.number, std::span(rule.conditions).first(rule.count)));
  const auto own_pid =
      static_cast<std::uint32_t>(::getpid()); // abort() and assert() end us properly
  const Condition self = equals32(0, own_pid);
  TRY(program.add(SCMP_ACT_ALLOW, SYS_tgkill, {&self, 1}));
  TRY(program.add(SCMP_ACT_ALLOW, SYS_kill, {&self, 1}));
  TRY(program.add(SCMP_ACT_ERRNO(ENOSYS), SYS_clone3));
  TRY(const auto filter, std::move(program).finish(Program::Prelude::With));
  return install(filter);
}

} // namespace mohhos::sandbox
