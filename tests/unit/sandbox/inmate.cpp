// The other side of launch_test: goes through the same gate as mohhos-plugin-host, then does what
// it is told, one question per record on the link, and answers with the errno of what it tried (0:
// it succeeded).
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <thread>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "sandbox/enter.hpp"

namespace {

namespace sb = mohhos::sandbox;

sb::Boot boot; // of this process, for 'tighten'

int outcome(long result) {
  return result < 0 ? errno : 0;
}

// What the host does with a stage 2 refusal: the call fails with EACCES.
void on_refused(int, siginfo_t*, void* context) {
  static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RAX] = -EACCES;
}

int install_handler() {
  struct sigaction action{};
  action.sa_sigaction = on_refused;
  action.sa_flags = SA_SIGINFO;
  return outcome(::sigaction(SIGSYS, &action, nullptr));
}

int map_anonymous(int protection) {
  void* memory = ::mmap(nullptr, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? errno : 0;
}

int map_library() {
  const int file = ::open("/lib64/ld-linux-x86-64.so.2", O_RDONLY | O_CLOEXEC);
  if (file < 0) return errno;
  void* memory = ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
  const int result = memory == MAP_FAILED ? errno : 0;
  ::close(file);
  return result;
}

int protect_written_page() {
  void* memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  std::memset(memory, 0xC3, 16);
  return outcome(::mprotect(memory, 4096, PROT_READ | PROT_EXEC));
}

int run_thread() {
  int seen = EAGAIN;
  std::thread([&] { seen = 0; }).join();
  return seen;
}

int run_process() {
  const pid_t child = ::fork();
  if (child < 0) return errno;
  if (child == 0) ::_exit(0);
  int status = 0;
  return outcome(::waitpid(child, &status, 0));
}

int open_path(std::string_view path, int flags) {
  const int file = ::open(path.data(), flags | O_CLOEXEC, 0600); // the record is NUL-terminated
  if (file < 0) return errno;
  ::close(file);
  return 0;
}

struct Question {
  std::string_view word;
  int (*ask)();
};
constexpr Question kQuestions[] = {
    {"socket", [] { return outcome(::socket(AF_INET, SOCK_STREAM, 0)); }},
    {"socket-unix", [] { return outcome(::socket(AF_UNIX, SOCK_STREAM, 0)); }},
    {"mount", [] { return outcome(::syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, nullptr)); }},
    {"unshare-user", [] { return outcome(::syscall(SYS_unshare, 0x10000000)); }},
    {"ptrace", [] { return outcome(::syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0)); }},
    {"read-memory",
     [] { return outcome(::syscall(SYS_process_vm_readv, 1, nullptr, 0, nullptr, 0, 0)); }},
    {"clone3", [] { return outcome(::syscall(SYS_clone3, nullptr, 0)); }},
    {"unknown", [] { return outcome(::syscall(1000)); }},
    {"fork", run_process},
    {"thread", run_thread},
    {"exec",
     [] {
       char* none[] = {nullptr};
       return outcome(::execve("/usr/bin/true", none, none));
     }},
    {"map-write-execute", [] { return map_anonymous(PROT_READ | PROT_WRITE | PROT_EXEC); }},
    {"map-execute", [] { return map_anonymous(PROT_READ | PROT_EXEC); }},
    {"map-library", map_library},
    {"protect", protect_written_page},
    {"memfd", [] { return outcome(::memfd_create("x", MFD_CLOEXEC)); }},
    {"kill-all", [] { return outcome(::kill(-1, 0)); }},
    {"kill-parent", [] { return outcome(::kill(2, 0)); }},
    {"nonblock", [] { return outcome(::fcntl(sb::kFdLink, F_SETFL, O_NONBLOCK)); }},
    {"dumpable", [] { return outcome(::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)); }},
    {"raise-limit",
     [] {
       const rlimit limit{1 << 20, 1 << 20};
       return outcome(::syscall(SYS_prlimit64, 0, 7, &limit, nullptr));
     }},
    {"chdir", [] { return outcome(::chdir("/tmp")); }},
    {"module", [] { return outcome(::syscall(SYS_init_module, nullptr, 0, nullptr)); }},
    {"module-32",
     [] {
       int result = 20;
       asm volatile("int $0x80" : "+a"(result) : : "memory");
       return result < 0 ? -result : 0;
     }},
    {"handler", install_handler},
    {"tighten", [] { return sb::tighten(boot) ? 0 : EPERM; }},
    {"hang",
     [] {
       for (;;) ::pause();
       return 0;
     }},
};

int answer(std::string_view question) {
  if (question.starts_with("read ")) return open_path(question.substr(5), O_RDONLY);
  if (question.starts_with("write ")) return open_path(question.substr(6), O_WRONLY | O_CREAT);
  if (question.starts_with("truncate ")) return outcome(::truncate(question.substr(9).data(), 0));
  if (question.starts_with("stat ")) {
    struct stat info{};
    return outcome(::stat(question.substr(5).data(), &info));
  }
  for (const Question& known : kQuestions)
    if (known.word == question) return known.ask();
  return ENOSYS;
}

} // namespace

int main() {
  auto entered = sb::enter();
  if (!entered) return 3;
  boot = *std::move(entered);
  char question[512];
  for (;;) {
    const ssize_t got = ::recv(sb::kFdLink, question, sizeof question - 1, 0);
    if (got <= 0) return 0;
    question[got] = 0;
    const std::int32_t result = answer(question);
    (void)::send(sb::kFdLink, &result, sizeof result, MSG_NOSIGNAL);
  }
}
