#include "sandbox/gate.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <span>

#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/reader.hpp"
#include "sys/socket.hpp"

namespace mohhos::sandbox {
namespace {

struct Row {
  Step step;
  std::string_view name;
};
constexpr std::array kSteps = {
    Row{Step::Groups, "join its control groups"},
    Row{Step::WaitForParent, "wait for the id maps"},
    Row{Step::Identity, "take its own uid"},
    Row{Step::PrivateMounts, "make the mounts private"},
    Row{Step::Root, "mount the private root"},
    Row{Step::Mounts, "put a mount in its place"},
    Row{Step::Tmp, "mount /tmp"},
    Row{Step::Devices, "put a device in its place"},
    Row{Step::SealRoot, "make the root read-only"},
    Row{Step::Pivot, "leave the old root"},
    Row{Step::Descriptors, "sort the descriptors"},
    Row{Step::Session, "start a session of its own"},
    Row{Step::Rlimits, "set the resource limits"},
    Row{Step::Capabilities, "drop the capabilities"},
    Row{Step::NoNewPrivileges, "forgo new privileges"},
    Row{Step::Exec, "start mohhos-plugin-host"},
    Row{Step::Boot, "read the boot block"},
    Row{Step::Dumpable, "refuse core dumps"},
    Row{Step::MemoryDenyWriteExecute, "deny executable memory"},
    Row{Step::Landlock, "enter the Landlock domain"},
    Row{Step::Filter, "install the system call filter"},
    Row{Step::Listener, "hand over the filter's listener"},
    Row{Step::Probe, "probe the walls"},
};
constexpr bool rows_in_order() {
  for (std::size_t i = 0; i < kSteps.size(); ++i)
    if (kSteps[i].step != static_cast<Step>(i + 1)) return false;
  return kSteps.size() == static_cast<std::size_t>(Step::Probe);
}
static_assert(rows_in_order(), "every step has its row, in the order of the enum");

constexpr std::size_t kLargestRecord = sizeof(GateConfined) > sizeof(GateFailed)
                                           ? sizeof(GateConfined)
                                           : sizeof(GateFailed);

template <class T>
Result<std::optional<GateReport>> as_report(std::span<const std::byte> record) {
  if (record.size() != sizeof(T))
    return fail(Code::Malformed, "the gate: a record of {} bytes", record.size());
  T report = *Reader(record).at<T>(0);
  if constexpr (requires { report.text; }) report.text[sizeof report.text - 1] = 0;
  return std::optional<GateReport>(report);
}

} // namespace

std::string_view step_name(Step step) noexcept {
  const auto index = static_cast<std::size_t>(step) - 1;
  return index < kSteps.size() ? kSteps[index].name : "an unknown step";
}

Result<std::optional<GateReport>> receive_report(int gate) {
  std::array<std::byte, kLargestRecord> buffer{};
  auto received = sys::receive_message(gate, buffer);
  // A child that dies with our Proceed still unread resets the connection: as good as closed.
  if (!received && received.error().code == Code::Unreachable)
    return std::optional<GateReport>(GateClosed{});
  if (!received) return std::unexpected(std::move(received).error());
  if (!*received) return std::optional<GateReport>();
  const auto record = std::span<const std::byte>(buffer).first((*received)->size);
  if (record.empty()) return std::optional<GateReport>(GateClosed{});
  const auto header = Reader(record).at<GateHeader>(0);
  if (!header || header->version != kGateVersion)
    return fail(Code::Malformed, "the gate: a record of {} bytes, not of version {}", record.size(),
                kGateVersion);
  switch (header->type) {
  case GateType::Failed: return as_report<GateFailed>(record);
  case GateType::Listening: return as_report<GateListening>(record);
  case GateType::Confined: return as_report<GateConfined>(record);
  case GateType::Proceed:
  case GateType::Go: break;
  }
  return fail(Code::Malformed, "the gate: a record of type {}",
              static_cast<std::uint32_t>(header->type));
}

Result<> send_signal_to_child(int gate, GateType type) {
  const GateSignal signal{.header = {.type = type}};
  return sys::send_message(gate, std::as_bytes(std::span(&signal, 1)));
}

Result<sys::Fd> take_listener(int pidfd, const GateListening& listening) {
  sys::Fd listener(static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd, listening.listener, 0)));
  if (!listener) return fail_errno("fetching the filter's listener");
  // A listener knows whether a notification's id is alive (ENOENT for one that never was); nothing
  // else answers so.
  std::uint64_t id = 0;
  errno = 0;
  if (::ioctl(listener.get(), SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0 || errno != ENOENT)
    return fail(Code::Untrusted, "descriptor {} of the child is no seccomp listener",
                listening.listener);
  return listener;
}

Error to_error(const GateFailed& failed) {
  std::string text = fmt::format("the sandbox cannot be built: {}", step_name(failed.step));
  if (failed.text[0] != 0) text += fmt::format(": {}", failed.text);
  if (failed.error_number != 0) text += fmt::format(": {}", std::strerror(failed.error_number));
  if (failed.wall < model::kWallCount)
    text += fmt::format(" (wall: {})", model::wall_name(static_cast<model::Wall>(failed.wall)));
  return {Code::NoSandbox, std::move(text)};
}

} // namespace mohhos::sandbox
