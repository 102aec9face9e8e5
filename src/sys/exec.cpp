#include "sys/exec.hpp"

#include <array>
#include <charconv>
#include <csignal>

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/file.hpp"

namespace mohhos::sys {
namespace {

constexpr int kOutOfTheWay = 64;

} // namespace

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> list;
  list.reserve(words.size() + 1);
  for (std::string& word : words) list.push_back(word.data());
  list.push_back(nullptr);
  return list;
}

void begin_as_daemon() {
  ::umask(0077);
  for (const int standard : {0, 1, 2}) // a closed one would become some other file's number
    if (::fcntl(standard, F_GETFD) < 0) static_cast<void>(::open("/dev/null", O_RDWR));
  ::close_range(3, ~0U, 0);
  ::signal(SIGPIPE, SIG_IGN);
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
  constexpr rlimit kNone{0, 0};
  ::setrlimit(RLIMIT_CORE, &kNone);
}

std::optional<int> lower_oom_score(int score) {
  constexpr const char* kFile = "/proc/self/oom_score_adj";
  const auto before = read_control(AT_FDCWD, kFile);
  int former = 0;
  if (!before ||
      std::from_chars(before->data(), before->data() + before->size(), former).ec != std::errc())
    return std::nullopt;
  if (!write_control(AT_FDCWD, kFile, fmt::to_string(score))) return std::nullopt;
  return former;
}

void reset_signals() {
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

Result<> drop_privileges(uid_t uid, gid_t gid, bool drop_groups) {
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability) >= 0; ++capability)
    if (::prctl(PR_CAPBSET_DROP, capability) != 0) return fail_errno("emptying the bounding set");
  if (drop_groups && ::setgroups(0, nullptr) != 0) return fail_errno("setgroups");
  if (::setresgid(gid, gid, gid) != 0) return fail_errno(fmt::format("setresgid to {}", gid));
  if (::setresuid(uid, uid, uid) != 0) return fail_errno(fmt::format("setresuid to {}", uid));
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
    return fail_errno("emptying the ambient set");
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const std::array<__user_cap_data_struct, 2> none{};
  if (::syscall(SYS_capset, &header, none.data()) != 0) return fail_errno("capset");
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno("no_new_privs");
  return {};
}

Result<> set_descriptors(std::span<const int> list) {
  // First all out of the way: they may sit on each other's places.
  std::vector<int> high;
  for (const int fd : list) {
    const Fd null(fd < 0 ? ::open("/dev/null", O_RDONLY | O_CLOEXEC) : -1);
    high.push_back(::fcntl(fd < 0 ? null.get() : fd, F_DUPFD_CLOEXEC, kOutOfTheWay));
    if (high.back() < 0) return fail_errno("duplicating a descriptor");
  }
  for (std::size_t i = 0; i < high.size(); ++i)
    if (::dup2(high[i], static_cast<int>(i)) < 0) return fail_errno("dup2");
  const auto first = static_cast<unsigned>(list.size());
  if (::close_range(first, ~0U, CLOSE_RANGE_CLOEXEC) != 0) return fail_errno("close_range");
  return {};
}

Error execute(int program, std::vector<std::string> arguments,
              std::vector<std::string> environment) {
  ::syscall(SYS_execveat, program, "", pointers(arguments).data(), pointers(environment).data(),
            AT_EMPTY_PATH);
  return fail_errno("executing it").error();
}

} // namespace mohhos::sys
