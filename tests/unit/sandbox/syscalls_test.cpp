#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "sandbox/syscalls.hpp"

namespace mohhos::sandbox {
namespace {

constexpr auto kHere = static_cast<std::uint64_t>(AT_FDCWD);

TEST(SyscallName, KnowsTheNumbersAndSaysSoWhenNot) {
  EXPECT_EQ(syscall_name(SYS_openat), "openat");
  EXPECT_EQ(syscall_name(SYS_process_vm_readv), "process_vm_readv");
  EXPECT_EQ(syscall_name(9999), "syscall_9999");
  EXPECT_EQ(syscall_name(-5), "syscall_-5");
}

TEST(RenderCall, WritesACallAsPeopleReadIt) {
  EXPECT_EQ(render_call(SYS_openat, {kHere, 1, O_RDONLY | O_CLOEXEC}, "/etc/shadow"),
            "openat(\"/etc/shadow\", O_RDONLY|O_CLOEXEC)");
  EXPECT_EQ(render_call(SYS_openat, {kHere, 1, O_WRONLY | O_CREAT | O_TRUNC, 0644}, "/x"),
            "openat(\"/x\", O_WRONLY|O_CREAT|O_TRUNC, 0644)");
  EXPECT_EQ(render_call(SYS_openat, {7, 1, O_RDONLY}, "x"), "openat(7, \"x\", O_RDONLY)");
  EXPECT_EQ(render_call(SYS_socket, {AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0}, ""),
            "socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC, 0)");
  EXPECT_EQ(render_call(SYS_mprotect, {0x1000, 4096, PROT_READ | PROT_EXEC}, ""),
            "mprotect(0x1000, 4096, PROT_READ|PROT_EXEC)");
  EXPECT_EQ(render_call(SYS_fork, {1, 2, 3}, ""), "fork()");
  EXPECT_EQ(render_call(SYS_keyctl, {1, 0, 3}, ""), "keyctl(0x1, NULL, 0x3)");
}

TEST(RenderCall, ShowsWhatIsNotPrintableAsEscapes) {
  EXPECT_EQ(render_call(SYS_open, {0, O_RDONLY}, "/a\n\x1b[31m\""),
            "open(\"/a\\x0a\\x1b[31m\\\"\", O_RDONLY)");
}

} // namespace
} // namespace mohhos::sandbox
