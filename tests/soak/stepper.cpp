#include "stepper.hpp"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

// Where the child is sent to fork. Nobody executes what follows the call: the copy is killed, the
// child is put back to where it was.
asm(".text\n"
    ".globl mohhos_soak_fork\n"
    "mohhos_soak_fork:\n"
    "  syscall\n"
    "  ud2\n");
extern "C" const char mohhos_soak_fork[];

namespace mohhos::soak {
namespace {

[[noreturn]] void give_up(const char* what) {
  std::fprintf(stderr, "stepper: %s: %s\n", what, std::strerror(errno));
  std::abort();
}

// With the numbers that the request wants as an address.
void trace(int request, pid_t pid, std::uintptr_t data = 0) {
  if (::ptrace(static_cast<__ptrace_request>(request), pid, nullptr,
               reinterpret_cast<void*>(data)) != 0)
    give_up("ptrace");
}

int wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, __WALL) != pid)
    if (errno != EINTR) give_up("waitpid");
  return status;
}

bool stopped_by(int status, int event) {
  return WIFSTOPPED(status) && status >> 8 == (SIGTRAP | event << 8);
}

user_regs_struct registers_of(pid_t pid) {
  user_regs_struct registers{};
  trace(PTRACE_GETREGS, pid, reinterpret_cast<std::uintptr_t>(&registers));
  return registers;
}
void set_registers(pid_t pid, user_regs_struct& registers) {
  trace(PTRACE_SETREGS, pid, reinterpret_cast<std::uintptr_t>(&registers));
}

void kill_and_reap(pid_t pid) {
  ::kill(pid, SIGKILL);
  int status = 0;
  do status = wait_for(pid);
  while (!WIFSIGNALED(status) && !WIFEXITED(status));
}

// Our own child too (CLONE_PARENT): the stopped one could not reap it.
void kill_a_copy(pid_t child, const user_regs_struct& here) {
  user_regs_struct registers = here;
  registers.rip = reinterpret_cast<std::uintptr_t>(&mohhos_soak_fork);
  registers.rax = SYS_clone;
  registers.rdi = CLONE_PARENT | SIGCHLD;
  registers.rsi = registers.rdx = registers.r10 = registers.r8 = 0;
  registers.orig_rax = ~0ULL; // no system call to restart
  set_registers(child, registers);
  trace(PTRACE_SINGLESTEP, child);
  if (!stopped_by(wait_for(child), PTRACE_EVENT_FORK)) give_up("the child did not fork");
  unsigned long copy = 0;
  trace(PTRACE_GETEVENTMSG, child, reinterpret_cast<std::uintptr_t>(&copy));
  kill_and_reap(static_cast<pid_t>(copy));
  trace(PTRACE_SINGLESTEP, child);
  if (!stopped_by(wait_for(child), 0)) give_up("the child did not come back from its fork");
  registers = here;
  set_registers(child, registers);
}

bool will_block(pid_t child, const user_regs_struct& registers) {
  if (registers.rax != SYS_epoll_wait && registers.rax != SYS_epoll_pwait) return false;
  errno = 0;
  const long word =
      ::ptrace(PTRACE_PEEKTEXT, child, reinterpret_cast<void*>(registers.rip), nullptr);
  return errno == 0 && (word & 0xFFFF) == 0x050F; // syscall
}

// The kernel's clock code in our address space begins again whenever the clock moved meanwhile; one
// that dies at each of its instructions never comes out. So: once through with deaths (it touches
// nothing that is shared), the repetitions without.
class ClockCode {
public:
  [[nodiscard]] bool repeats(std::uintptr_t at) {
    visited_ = at - begin_ < kBytes ? visited_ + 1 : 0;
    return visited_ > kOnce;
  }

private:
  static constexpr std::uintptr_t kBytes = 8192;
  static constexpr int kOnce = 80;
  std::uintptr_t begin_ = ::getauxval(AT_SYSINFO_EHDR);
  int visited_ = 0;
};

// A sanitizer makes many instructions of one, and most of them are its own, where nothing is
// shared; and its shadow memory makes a copy dear. There some of them must do.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t kEvery = 17;
#else
constexpr std::uint64_t kEvery = 1;
#endif

struct Shared {
  bool begun;
  bool done;
};

} // namespace

std::uint64_t step_through(const std::function<void()>& operation, const StepOptions& options,
                           const std::function<void(std::uint64_t)>& after_death) {
  void* const page =
      ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) give_up("mmap");
  auto* const shared = static_cast<volatile Shared*>(page);
  const pid_t child = ::fork();
  if (child < 0) give_up("fork");
  if (child == 0) {
    ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    ::raise(SIGSTOP);
    shared->begun = true;
    operation();
    shared->done = true;
    ::_exit(0);
  }
  const int status = wait_for(child);
  if (!WIFSTOPPED(status)) give_up("the child did not stop");
  trace(PTRACE_SETOPTIONS, child, PTRACE_O_EXITKILL | PTRACE_O_TRACEFORK | PTRACE_O_TRACECLONE);

  std::uint64_t deaths = 0;
  std::uint64_t stops = 0;
  ClockCode clock;
  while (!shared->done) {
    user_regs_struct registers = registers_of(child);
    const bool skip = !shared->begun || clock.repeats(registers.rip);
    if (!skip && stops++ % kEvery == 0) {
      kill_a_copy(child, registers);
      after_death(deaths++);
    }
    if (options.unblock && will_block(child, registers)) options.unblock();
    trace(PTRACE_SINGLESTEP, child);
    if (!stopped_by(wait_for(child), 0)) give_up("the child did not stop after one instruction");
  }
  kill_and_reap(child);
  ::munmap(page, 4096);
  return deaths;
}

bool can_step() {
  const pid_t child = ::fork();
  if (child < 0) return false;
  if (child == 0) {
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(1);
    ::raise(SIGSTOP);
    ::_exit(0);
  }
  int status = 0;
  if (::waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) return false;
  const bool steps = ::ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) == 0;
  kill_and_reap(child);
  return steps;
}

} // namespace mohhos::soak
