#include "sandbox/enter.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/gate.hpp"
#include "sandbox/landlock.hpp"
#include "sandbox/probe.hpp"

namespace mohhos::sandbox {
namespace {

using model::Wall;

constexpr int kSetMdwe = 65; // PR_SET_MDWE, from 6.3
constexpr unsigned long kRefuseExecGain = 1;

// Everything here goes by send(2) and recv(2): the filter allows them, and not sendmsg.
void tell(const void* record, std::size_t size) {
  (void)::send(kFdGate, record, size, MSG_NOSIGNAL);
}

std::unexpected<Error> give_up(Step step, Wall wall, int error_number, std::string_view text) {
  GateFailed failed;
  failed.step = step;
  failed.error_number = error_number;
  failed.wall = static_cast<std::uint32_t>(wall);
  std::ranges::copy(text.substr(0, sizeof failed.text - 1), failed.text);
  tell(&failed, sizeof failed);
  return std::unexpected(to_error(failed));
}

// Waits for one signal of the warden's; false: it closed the gate, or said something else.
bool await(GateType type) {
  GateSignal signal{};
  ssize_t got = 0;
  do got = ::recv(kFdGate, &signal, sizeof signal, 0);
  while (got < 0 && errno == EINTR);
  return got == static_cast<ssize_t>(sizeof signal) && signal.header.version == kGateVersion &&
         signal.header.type == type;
}

// The listener's descriptor, or -1.
int install(const std::vector<sock_filter>& filter, unsigned flags) {
  const sock_fprog program{static_cast<unsigned short>(filter.size()),
                           const_cast<sock_filter*>(filter.data())};
  return static_cast<int>(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program));
}

Result<int> install_first(const Boot& boot) {
  // A killed plugin must not wait for the warden's answer first (5.19); older kernels do without.
  int listener = install(boot.confine,
                         SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
  if (listener < 0 && errno == EINVAL)
    listener = install(boot.confine, SECCOMP_FILTER_FLAG_NEW_LISTENER);
  if (listener < 0) return give_up(Step::Filter, Wall::Seccomp, errno, "seccomp");
  return listener;
}

// The warden fetches the listener with pidfd_getfd; our copy is closed before anything of the
// plugin runs, or the plugin could answer its own calls.
Result<> hand_over(int listener, std::uint32_t abi) {
  const GateListening listening{.listener = listener, .landlock_abi = abi};
  tell(&listening, sizeof listening);
  if (!await(GateType::Proceed)) return fail(Code::Unreachable, "the warden closed the gate");
  ::close(listener);
  return {};
}

Result<> report(const ProbeResult& probed, std::uint32_t abi) {
  GateConfined confined;
  confined.standing = probed.standing;
  confined.landlock_abi = abi;
  static_assert(sizeof confined.text == sizeof probed.text);
  std::memcpy(confined.text, probed.text, sizeof confined.text);
  tell(&confined, sizeof confined);
  if (!await(GateType::Go)) return fail(Code::NoSandbox, "the warden did not let us go on");
  return {};
}

} // namespace

Result<Boot> enter() {
  auto boot = read_boot(kFdBoot);
  if (!boot) return give_up(Step::Boot, Wall::PrivateRoot, 0, boot.error().text);
  ::close(kFdBoot);
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
    return give_up(Step::Dumpable, Wall::Rlimits, errno, "PR_SET_DUMPABLE");
  // Older kernels have no such thing (EINVAL): the filter says the same, if less thoroughly.
  if (::prctl(kSetMdwe, kRefuseExecGain, 0, 0, 0) != 0 && errno != EINVAL)
    return give_up(Step::MemoryDenyWriteExecute, Wall::NoExecWrite, errno, "PR_SET_MDWE");
  const std::uint32_t abi = landlock_abi();
  if (auto entered = enter_landlock(boot->landlock, abi); !entered)
    return give_up(Step::Landlock, Wall::Landlock, 0, entered.error().text);
  ProbeResult probed;
  probe_before_filter(probed, abi);
  TRY(const int listener, install_first(*boot));
  TRY(hand_over(listener, abi));
  probe_after_filter(probed);
  TRY(report(probed, abi));
  ::close(kFdGate);
  return boot;
}

Result<> tighten(const Boot& boot) {
  if (boot.tighten.empty()) return {};
  const int result = install(boot.tighten, SECCOMP_FILTER_FLAG_TSYNC);
  if (result > 0)
    return fail(Code::NoSandbox, "the second filter: thread {} does not take it", result);
  if (result < 0) return fail_errno("the second filter: seccomp");
  return {};
}

} // namespace mohhos::sandbox
