// The manager's filter stays on for good, so each try is in a process of its own.
#include <cerrno>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/filter.hpp"

namespace mohhos::sandbox {
namespace {

int outcome(long result) {
  return result < 0 ? errno : 0;
}

// The errno of what was tried under the manager's filter.
int under_the_filter(int (*attempt)()) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (!confine_manager()) ::_exit(255);
    ::_exit(attempt());
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(ManagerProfile, LetsTheManagerDoItsWork) {
  EXPECT_EQ(under_the_filter([] { return outcome(::socket(AF_UNIX, SOCK_SEQPACKET, 0)); }), 0);
  EXPECT_EQ(under_the_filter([] { return outcome(::memfd_create("x", MFD_ALLOW_SEALING)); }), 0);
  EXPECT_EQ(under_the_filter([] { return outcome(::open("/etc/passwd", O_RDONLY)); }), 0);
  EXPECT_EQ(under_the_filter([] {
              int seen = 1;
              std::thread([&] { seen = 0; }).join();
              return seen;
            }),
            0);
  EXPECT_EQ(under_the_filter([] { return compile_filters({}) ? 0 : 1; }), 0); // plugins' filters
}

TEST(ManagerProfile, LetsWhoeverTookItOverFindLittle) {
  EXPECT_EQ(under_the_filter([] { return outcome(::socket(AF_INET, SOCK_STREAM, 0)); }), EPERM);
  EXPECT_EQ(under_the_filter([] { return outcome(::fork()); }), EPERM);
  EXPECT_EQ(under_the_filter([] {
              char* none[] = {nullptr};
              return outcome(::execve("/bin/true", none, none));
            }),
            EPERM);
  EXPECT_EQ(
      under_the_filter([] { return outcome(::syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0)); }),
      EPERM);
  EXPECT_EQ(under_the_filter([] { return outcome(::syscall(SYS_unshare, 0x10000000)); }), EPERM);
  EXPECT_EQ(under_the_filter([] { return outcome(::kill(::getppid(), 0)); }), EPERM);
  EXPECT_EQ(under_the_filter([] {
              void* memory =
                  ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
              return memory == MAP_FAILED ? errno : 0;
            }),
            EPERM);
}

} // namespace
} // namespace mohhos::sandbox
