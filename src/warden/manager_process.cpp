#include "warden/manager_process.hpp"

#include <array>
#include <csignal>
#include <cstdlib>

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/file.hpp"
#include "sys/process.hpp"
#include "warden/log.hpp"

namespace mohhos::warden {
namespace {

namespace fs = std::filesystem;

Result<sys::Fd> open_program(const fs::path& beside, const char* name) {
  const std::array places = {beside / name, fs::path(MOHHOS_LIBEXECDIR) / name};
  for (const fs::path& path : places) {
    sys::Fd fd(::open(path.c_str(), O_PATH | O_CLOEXEC));
    if (fd) return fd;
  }
  return fail(Code::NotFound, "{} is neither in {} nor in {}; is the installation complete?", name,
              beside.native(), MOHHOS_LIBEXECDIR);
}

// Everything that a process may still have from us goes, in the order in which it is still allowed.
Result<> drop_privileges(const Identity& identity) {
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability) >= 0; ++capability)
    if (::prctl(PR_CAPBSET_DROP, capability) != 0) return fail_errno("emptying the bounding set");
  // In a namespace with one id setgroups is forbidden, and the groups are nobody's inside.
  if (identity.mode != Mode::User && ::setgroups(0, nullptr) != 0) return fail_errno("setgroups");
  if (::setresgid(identity.manager_gid, identity.manager_gid, identity.manager_gid) != 0)
    return fail_errno(fmt::format("setresgid to {}", identity.manager_gid));
  if (::setresuid(identity.manager_uid, identity.manager_uid, identity.manager_uid) != 0)
    return fail_errno(fmt::format("setresuid to {}", identity.manager_uid));
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
    return fail_errno("emptying the ambient set");
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> none{};
  if (::syscall(SYS_capset, &header, none.data()) != 0) return fail_errno("capset");
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno("no_new_privs");
  return {};
}

Result<> set_descriptors(int link) {
  const sys::Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!null || ::dup2(null.get(), STDIN_FILENO) < 0) return fail_errno("opening /dev/null");
  // A log that goes nowhere of ours must not be mixed with what --check-config prints.
  if (link >= 0 && ::dup2(STDERR_FILENO, STDOUT_FILENO) < 0) return fail_errno("dup2");
  if (link == kFdWarden && ::fcntl(link, F_SETFD, 0) != 0) return fail_errno("fcntl");
  if (link >= 0 && link != kFdWarden && ::dup2(link, kFdWarden) < 0) return fail_errno("dup2");
  const unsigned first = link >= 0 ? kFdWarden + 1 : kFdWarden;
  if (::close_range(first, ~0U, CLOSE_RANGE_CLOEXEC) != 0) return fail_errno("close_range");
  return {};
}

void reset_signals() {
  for (int signal = 1; signal < SIGRTMIN; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

std::vector<std::string> environment_for(const Place& place) {
  std::vector<std::string> environment = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8"};
  const auto pass = [&](const char* name) {
    if (const char* value = std::getenv(name)) // NOLINT(concurrency-mt-unsafe)
      environment.push_back(fmt::format("{}={}", name, value));
  };
  pass("JOURNAL_STREAM");
  if (place.root.empty()) {
    pass("HOME");
    pass("XDG_RUNTIME_DIR");
  }
  return environment;
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> list;
  for (std::string& word : words) list.push_back(word.data());
  list.push_back(nullptr);
  return list;
}

Result<> become_manager(const ManagerStart& start, pid_t parent) {
  reset_signals();
  ::umask(0077);
  if (auto self = sys::Fd(::open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC)))
    static_cast<void>(
        sys::write_control(self.get(), "oom_score_adj", fmt::to_string(start.oom_score_adj)));
  TRY(isolate_manager(start.identity, start.place, start.directories));
  if (::chdir("/") != 0) return fail_errno("chdir to /");
  // The program's descriptor must not be where the link goes.
  const sys::Fd program(::fcntl(start.program, F_DUPFD_CLOEXEC, 16));
  if (!program) return fail_errno("dup");
  TRY(set_descriptors(start.link));
  TRY(drop_privileges(start.identity));
  // After the change of uid, which clears it.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return fail_errno("PR_SET_PDEATHSIG");
  if (::getppid() != parent) return fail(Code::PeerGone, "mohhosd is gone");

  std::vector<std::string> arguments = {"mohhos-manager"};
  if (start.check_config) arguments.emplace_back("--check-config");
  if (!start.place.root.empty()) {
    arguments.emplace_back("--root");
    arguments.push_back(start.place.root);
  }
  std::vector<std::string> environment = environment_for(start.place);
  ::syscall(SYS_execveat, program.get(), "", pointers(arguments).data(),
            pointers(environment).data(), AT_EMPTY_PATH);
  return fail_errno("executing it");
}

} // namespace

Result<Programs> find_programs() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  if (error) return fail(Code::Failed, "/proc/self/exe: {} (is /proc mounted?)", error.message());
  Programs programs;
  TRY(programs.manager, open_program(self.parent_path(), "mohhos-manager"));
  TRY(programs.host, open_program(self.parent_path(), "mohhos-plugin-host"));
  return programs;
}

Result<sys::Fd> start_manager(const ManagerStart& start) {
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return fail_errno("fork");
  if (pid > 0) return sys::open_pidfd(pid); // ours, not reaped yet: the number is still its own
  if (auto failed = become_manager(start, parent); !failed)
    say("mohhos-manager cannot be started: {}", failed.error().text);
  ::_exit(127);
}

} // namespace mohhos::warden
