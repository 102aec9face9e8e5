#include "warden/manager_process.hpp"
#include "sys/daemon_log.hpp"

#include <array>
#include <csignal>
#include <cstdlib>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/exec.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"

namespace mohhos::warden {
namespace {

namespace fs = std::filesystem;

Result<sys::Fd> open_program(const fs::path& beside, const char* name) {
  const fs::path installed = beside.parent_path() / "libexec/mohhos"; // under whatever prefix
  const std::array places = {beside / name, installed / name, fs::path(MOHHOS_LIBEXECDIR) / name};
  for (const fs::path& path : places) {
    sys::Fd fd(::open(path.c_str(), O_PATH | O_CLOEXEC));
    if (fd) return fd;
  }
  return fail(Code::NotFound, "{} is not in {}, {} or {}; is the installation complete?", name,
              beside.native(), installed.native(), MOHHOS_LIBEXECDIR);
}

std::vector<std::string> environment_for(const Place& place) {
  std::vector<std::string> environment = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8"};
  const auto pass = [&](const char* name) {
    if (const char* value = std::getenv(name))
      environment.push_back(fmt::format("{}={}", name, value));
  };
  pass("JOURNAL_STREAM");
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) // where its reports go
  for (const char* name : {"ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"}) pass(name);
  // The leak checker looks at its process from another one; the manager's filter lets it start
  // none.
  environment.emplace_back("LSAN_OPTIONS=detect_leaks=0");
#endif
  if (place.root.empty()) {
    pass("HOME");
    pass("XDG_RUNTIME_DIR");
  }
  return environment;
}

Result<> become_manager(const ManagerStart& start, pid_t parent) {
  sys::reset_signals();
  // Ctrl-C and 'kill %1' reach a whole process group; only the warden ends the manager, after the
  // plugins.
  if (::setsid() < 0) return fail_errno("setsid");
  ::umask(0077);
  if (start.former_oom_score)
    TRY(sys::write_control(AT_FDCWD, "/proc/self/oom_score_adj",
                           fmt::to_string(*start.former_oom_score)));
  TRY(isolate_manager(start.identity, start.place, start.directories));
  if (::chdir("/") != 0) return fail_errno("chdir to /");
  // Standard output is a log like the other, but for what --check-config prints.
  const std::array descriptors = {-1, start.link >= 0 ? STDERR_FILENO : STDOUT_FILENO,
                                  STDERR_FILENO, start.link};
  const sys::Fd program(::fcntl(start.program, F_DUPFD_CLOEXEC, 64));
  TRY(sys::set_descriptors(std::span(descriptors).first(start.link >= 0 ? 4 : 3)));
  const Identity& identity = start.identity;
  TRY(sys::drop_privileges(identity.manager_uid, identity.manager_gid,
                           identity.mode != Mode::User));
  // After the change of uid, which clears it.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return fail_errno("PR_SET_PDEATHSIG");
  if (::getppid() != parent) return fail(Code::PeerGone, "mohhosd is gone");

  std::vector<std::string> arguments = {"mohhos-manager"};
  if (start.check_config) arguments.emplace_back("--check-config");
  if (!start.place.root.empty()) {
    arguments.emplace_back("--root");
    arguments.push_back(start.place.root);
  }
  return std::unexpected(
      sys::execute(program.get(), std::move(arguments), environment_for(start.place)));
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
    sys::say("mohhos-manager cannot be started: {}", failed.error().text);
  ::_exit(127);
}

} // namespace mohhos::warden
