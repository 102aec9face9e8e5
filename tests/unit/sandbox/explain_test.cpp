#include "sandbox/explain.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "sandbox/filter.hpp"

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
  for (int number = 0; number <= kLastKnownSyscall; ++number) {
    const model::Refusal words = refusal(number, {});
    EXPECT_FALSE(words.call.empty() || words.rule.empty() || words.hint.empty()) << number;
  }
}

} // namespace
} // namespace mohhos::sandbox
