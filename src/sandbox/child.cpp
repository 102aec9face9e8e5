#include "sandbox/child.hpp"

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/securebits.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/gate.hpp"
#include "sandbox/probe.hpp"
#include "sandbox/spec.hpp"

namespace mohhos::sandbox {
namespace {

using model::Wall;

// Where the new root is hung until it becomes the root: any directory of the old one does, and this
// one exists wherever the warden can work.
constexpr char kStaging[] = "/proc";
constexpr char kRootSize[] = "1m"; // directories and empty files only; read-only in the end
constexpr char kRootInodes[] = "1024";
constexpr int kHostDescriptor = 6;
constexpr int kOutOfTheWay = 64;

int gate_descriptor = -1; // of the child's copy of memory; set once in run_child

[[noreturn]] void give_up(Step step, Wall wall, const char* text) noexcept {
  GateFailed failed;
  failed.error_number = errno;
  failed.step = step;
  failed.wall = static_cast<std::uint32_t>(wall);
  const std::size_t length = std::min(std::strlen(text), sizeof failed.text - 1);
  std::memcpy(failed.text, text, length);
  (void)::send(gate_descriptor, &failed, sizeof failed, MSG_NOSIGNAL);
  ::_exit(1);
}

void expect(bool succeeded, Step step, Wall wall, const char* text) noexcept {
  if (!succeeded) give_up(step, wall, text);
}

int open_in(int directory, const char* name, std::uint64_t flags) noexcept {
  open_how how{};
  how.flags = flags;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(::syscall(SYS_openat2, directory, name, &how, sizeof how));
}

// 0. While we are one thread, and before anything of ours costs memory.
void join_groups(std::span<const int> doors) noexcept {
  for (const int door : doors)
    expect(::write(door, "0", 1) == 1, Step::Groups, Wall::MemoryLimit, "joining a control group");
}

// 1. The parent has mapped our ids when this returns.
void wait_for_parent() noexcept {
  GateSignal signal{};
  ssize_t got = 0;
  do got = ::recv(gate_descriptor, &signal, sizeof signal, 0);
  while (got < 0 && errno == EINTR);
  if (got != static_cast<ssize_t>(sizeof signal) || signal.header.type != GateType::Proceed)
    ::_exit(1);
}

// The parent's signal mask and its ignored signals would otherwise be the plugin's.
void reset_signals() noexcept {
  struct sigaction action{};
  action.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) (void)::sigaction(signal, &action, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  (void)::sigprocmask(SIG_SETMASK, &none, nullptr);
}

// 2. NO_SETUID_FIXUP: the change of uid must not take the capabilities that the mounts still need.
void take_identity(const ChildPlan& plan) noexcept {
  constexpr auto kStep = Step::Identity;
  expect(::prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0) == 0, kStep, Wall::OwnUid,
         "securebits");
  if (plan.drop_groups)
    expect(::syscall(SYS_setgroups, 0, nullptr) == 0, kStep, Wall::OwnUid, "setgroups");
  // Raw calls: the library's would tell threads that this copy does not have.
  expect(::syscall(SYS_setresgid, plan.id, plan.id, plan.id) == 0, kStep, Wall::OwnUid,
         "setresgid");
  expect(::syscall(SYS_setresuid, plan.id, plan.id, plan.id) == 0, kStep, Wall::OwnUid,
         "setresuid");
}

struct Option {
  const char* key;
  const char* value;
};

// A new tmpfs, mounted nowhere yet.
int make_tmpfs(std::span<const Option> options, Step step) noexcept {
  const int context = static_cast<int>(::syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC));
  expect(context >= 0, step, Wall::PrivateRoot, "fsopen of tmpfs");
  for (const Option& option : options)
    expect(::syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, option.key, option.value, 0) == 0,
           step, Wall::PrivateRoot, option.key);
  expect(::syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0, step,
         Wall::PrivateRoot, "creating the tmpfs");
  const int mount =
      static_cast<int>(::syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC,
                                 MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
  expect(mount >= 0, step, Wall::PrivateRoot, "fsmount");
  ::close(context);
  return mount;
}

// 4. The new root, hung over the staging directory; its descriptor.
int make_root() noexcept {
  const std::array<Option, 3> options = {Option{"size", kRootSize},
                                         Option{"nr_inodes", kRootInodes}, Option{"mode", "755"}};
  const int root = make_tmpfs(options, Step::Root);
  expect(::syscall(SYS_move_mount, root, "", AT_FDCWD, kStaging, MOVE_MOUNT_F_EMPTY_PATH) == 0,
         Step::Root, Wall::PrivateRoot, "move_mount of the root");
  return root;
}

// The directory that `path` lies in, made as far as it is not there; `leaf` becomes the last
// component. By descriptor and never through a symbolic link: what is mounted there may hold some
// that the plugin made.
int make_parents(int root, const char* path, const char*& leaf, Step step) noexcept {
  int directory = ::fcntl(root, F_DUPFD_CLOEXEC, 0);
  expect(directory >= 0, step, Wall::PrivateRoot, path);
  const char* begin = path + 1;
  for (const char* end = std::strchr(begin, '/'); end != nullptr; end = std::strchr(begin, '/')) {
    std::array<char, kPathSize> name{};
    std::memcpy(name.data(), begin,
                static_cast<std::size_t>(end - begin)); // verify_spec: shorter than kPathSize
    const int made = ::mkdirat(directory, name.data(), 0755);
    expect(made == 0 || errno == EEXIST || errno == EROFS, step, Wall::PrivateRoot, path);
    const int next = open_in(directory, name.data(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    expect(next >= 0, step, Wall::PrivateRoot, path);
    ::close(directory);
    directory = next;
    begin = end + 1;
  }
  leaf = begin;
  return directory;
}

void make_file(int directory, const char* name, mode_t mode, Step step, const char* path) noexcept {
  const int file =
      ::openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
  expect(file >= 0 || errno == EEXIST || errno == EROFS, step, Wall::PrivateRoot, path);
  if (file >= 0) ::close(file);
}

void place_tree(int tree, int directory, const char* leaf, Step step, const char* path) noexcept {
  const int target = open_in(directory, leaf, O_PATH | O_CLOEXEC);
  expect(target >= 0, step, Wall::PrivateRoot, path);
  expect(::syscall(SYS_move_mount, tree, "", target, "",
                   MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0,
         step, Wall::PrivateRoot, path);
  ::close(target);
}

// 6 and 7. Each mount in its place: the mount point made, the tree moved onto it.
void place(int root, const PlannedMount& mount) noexcept {
  const Step step = mount.device ? Step::Devices : Step::Mounts;
  const char* leaf = nullptr;
  const int directory = make_parents(root, mount.target, leaf, step);
  if (mount.tree < 0) {
    const int linked = ::symlinkat(mount.link_text, directory, leaf);
    expect(linked == 0 || errno == EEXIST, step, Wall::PrivateRoot, mount.target);
  } else {
    if (mount.directory) {
      const int made = ::mkdirat(directory, leaf, 0755);
      expect(made == 0 || errno == EEXIST || errno == EROFS, step, Wall::PrivateRoot, mount.target);
    } else {
      make_file(directory, leaf, 0444, step, mount.target);
    }
    place_tree(mount.tree, directory, leaf, step, mount.target);
  }
  ::close(directory);
}

// 5. /tmp is the only thing of its own that can be written, and nothing in it can be executed.
// Before the mounts, which may have their places in it.
void make_tmp(int root, const ChildPlan& plan) noexcept {
  expect(::mkdirat(root, "tmp", 0700) == 0, Step::Tmp, Wall::PrivateRoot, "/tmp");
  const std::array<Option, 3> options = {
      Option{"size", plan.tmp_size}, Option{"nr_inodes", plan.tmp_inodes}, Option{"mode", "700"}};
  const int tmp = make_tmpfs(options, Step::Tmp);
  place_tree(tmp, root, "tmp", Step::Tmp, "/tmp");
  ::close(tmp);
}

// 8.
void seal_root(int root) noexcept {
  make_file(root, kProbePath + 1, 0444, Step::SealRoot, kProbePath);
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  expect(::syscall(SYS_mount_setattr, root, "", AT_EMPTY_PATH, &attributes, sizeof attributes) == 0,
         Step::SealRoot, Wall::PrivateRoot, "mount_setattr");
}

// 9. pivot_root(".", ".") stacks the old root on top of the new one, from where it is taken off.
void pivot(int root) noexcept {
  constexpr auto kStep = Step::Pivot;
  expect(::fchdir(root) == 0, kStep, Wall::PrivateRoot, "fchdir");
  expect(::syscall(SYS_pivot_root, ".", ".") == 0, kStep, Wall::PrivateRoot, "pivot_root");
  expect(::umount2(".", MNT_DETACH) == 0, kStep, Wall::PrivateRoot, "umount of the old root");
  expect(::chdir("/") == 0, kStep, Wall::PrivateRoot, "chdir");
}

// 10. First all out of the way (they may sit on each other's places), then down to where the host
// expects them.
void sort_descriptors(const ChildPlan& plan) noexcept {
  constexpr auto kStep = Step::Descriptors;
  std::array<int, 7> high{};
  for (std::size_t i = 0; i < high.size(); ++i) {
    const int from = i < plan.descriptors.size() ? plan.descriptors[i] : plan.host;
    high[i] = ::fcntl(from, F_DUPFD_CLOEXEC, kOutOfTheWay);
    expect(high[i] >= 0, kStep, Wall::CleanDescriptors, "duplicating");
  }
  gate_descriptor = high[5];
  for (std::size_t i = 0; i < high.size(); ++i)
    expect(::dup3(high[i], static_cast<int>(i), i == kHostDescriptor ? O_CLOEXEC : 0) >= 0, kStep,
           Wall::CleanDescriptors, "dup3");
  gate_descriptor = kFdGate;
  expect(::syscall(SYS_close_range, kHostDescriptor + 1, ~0U, 0) == 0, kStep,
         Wall::CleanDescriptors, "close_range");
}

// 11. No controlling terminal: a new session has none, and there is none to open.
void start_session() noexcept {
  expect(::setsid() >= 0, Step::Session, Wall::NoTerminal, "setsid");
  expect(::sethostname("plugin", 6) == 0, Step::Session, Wall::UtsNamespace, "sethostname");
  ::umask(077);
}

// 12. Only ever lower: the warden may not have CAP_SYS_RESOURCE.
void set_limits(std::span<const PlannedLimit> limits) noexcept {
  for (const PlannedLimit& limit : limits) {
    struct rlimit64 present{};
    expect(::syscall(SYS_prlimit64, 0, limit.resource, nullptr, &present) == 0, Step::Rlimits,
           Wall::Rlimits, "reading a limit");
    const rlim_t value = std::min<rlim_t>(limit.value, present.rlim_max);
    const struct rlimit64 lowered{value, value};
    expect(::syscall(SYS_prlimit64, 0, limit.resource, &lowered, nullptr) == 0, Step::Rlimits,
           Wall::Rlimits, "lowering a limit");
  }
}

// 13. All five sets, and the switches that could give some back.
void drop_capabilities() noexcept {
  constexpr auto kStep = Step::Capabilities;
  for (unsigned long capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0;
       ++capability)
    expect(::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0, kStep, Wall::NoCapabilities,
           "the bounding set");
  expect(::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0, kStep,
         Wall::NoCapabilities, "the ambient set");
  constexpr unsigned long kLocked = SECURE_ALL_BITS | SECURE_ALL_LOCKS;
  // KEEP_CAPS itself off, but locked off.
  expect(::prctl(PR_SET_SECUREBITS, kLocked & ~static_cast<unsigned long>(SECBIT_KEEP_CAPS), 0, 0,
                 0) == 0,
         kStep, Wall::NoCapabilities, "the securebits");
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const std::array<__user_cap_data_struct, 2> none{};
  expect(::syscall(SYS_capset, &header, none.data()) == 0, kStep, Wall::NoCapabilities, "capset");
}

} // namespace

void run_child(const ChildPlan& plan) noexcept {
  gate_descriptor = plan.gate;
  join_groups(plan.doors); // 0
  wait_for_parent();       // 1
  reset_signals();
  take_identity(plan); // 2
  expect(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, Step::PrivateMounts,
         Wall::MountNamespace, "making / private");                 // 3
  const int root = make_root();                                     // 4
  make_tmp(root, plan);                                             // 5
  for (const PlannedMount& mount : plan.mounts) place(root, mount); // 6, 7
  seal_root(root);                                                  // 8
  pivot(root);                                                      // 9
  sort_descriptors(plan);                                           // 10
  start_session();                                                  // 11
  set_limits(plan.limits);                                          // 12
  drop_capabilities();                                              // 13
  expect(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, Step::NoNewPrivileges,
         Wall::NoNewPrivileges,
         "PR_SET_NO_NEW_PRIVS"); // 14
  (void)::syscall(SYS_execveat, kHostDescriptor, "", plan.arguments, plan.environment,
                  AT_EMPTY_PATH); // 15
  give_up(Step::Exec, Wall::PrivateRoot, "execveat");
}

} // namespace mohhos::sandbox
