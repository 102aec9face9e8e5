#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "sandbox/syscalls.hpp"

namespace mohhos::sandbox {
namespace {

using testing::HasSubstr;
using Arguments = std::array<std::uint64_t, 6>;

constexpr auto kHere = static_cast<std::uint64_t>(AT_FDCWD);

model::Refusal refusal(int number, const Arguments& arguments, std::string path = {}) {
  model::Refusal result;
  result.syscall = number;
  result.arguments = arguments;
  result.path = std::move(path);
  put_into_words(result, "snoop", {});
  return result;
}

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

TEST(Explain, AnOpenNamesTheLineAndTheGrant) {
  const model::Refusal read = refusal(SYS_openat, {kHere, 1, O_RDONLY}, "/etc/shadow");
  EXPECT_EQ(read.rule, "filesystem: the path is not granted");
  EXPECT_THAT(read.hint, HasSubstr("[acl] read = [\"/etc/shadow\"]"));
  EXPECT_THAT(read.hint, HasSubstr("can_access_filesystem = true"));
  EXPECT_THAT(read.hint, HasSubstr("plugctl grant snoop --read /etc/shadow"));
  const model::Refusal write = refusal(SYS_openat, {kHere, 1, O_WRONLY | O_CREAT}, "/data/x");
  EXPECT_THAT(write.hint, HasSubstr("[acl] write = [\"/data/x\"]"));
  const model::Refusal device = refusal(SYS_openat, {kHere, 1, O_RDWR}, "/dev/kvm");
  EXPECT_THAT(device.hint, HasSubstr("[acl] devices = [\"/dev/kvm\"]"));
  EXPECT_THAT(refusal(SYS_open, {1, O_RDONLY}, "/proc/1/mem").hint, HasSubstr("no capability"));
}

TEST(Explain, OtherCallsNameTheCapabilityOrThatThereIsNone) {
  EXPECT_THAT(refusal(SYS_socket, {AF_INET, SOCK_STREAM}).hint, HasSubstr("can_access_network"));
  EXPECT_THAT(refusal(SYS_process_vm_readv, {}).hint, HasSubstr("no capability allows it"));
  EXPECT_THAT(refusal(SYS_fork, {}).hint, HasSubstr("can_create_processes"));
  EXPECT_THAT(refusal(SYS_clone, {CLONE_NEWUSER}).rule, HasSubstr("namespaces"));
  EXPECT_THAT(refusal(SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC}).hint,
              HasSubstr("no capability allows executable memory"));
  EXPECT_THAT(refusal(SYS_fchmod, {}).hint, HasSubstr("can_access_filesystem"));
  EXPECT_THAT(refusal(SYS_settimeofday, {}).hint, HasSubstr("no capability"));
}

TEST(Explain, EveryKnownCallHasARuleAndAHint) {
  for (int number = 0; number < 451; ++number) {
    const model::Refusal words = refusal(number, {});
    EXPECT_FALSE(words.call.empty() || words.rule.empty() || words.hint.empty()) << number;
  }
}

} // namespace
} // namespace mohhos::sandbox
