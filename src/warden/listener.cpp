#include "warden/listener.hpp"

#include <algorithm>
#include <cerrno>

#include <sys/epoll.h>
#include <sys/syscall.h>

#include "sandbox/spawn.hpp"
#include "sys/clock.hpp"
#include "sys/notification.hpp"
#include "warden/messages.hpp"

namespace mohhos::warden {
namespace {

constexpr double kCallsPerSecond = 2000;
constexpr double kCallsSaved = 2000;
constexpr double kCallsPerPause = 100;
constexpr int kCallsPerTurn = 32;

// Whether what is granted at this place is granted for writing. By the text: for the log.
bool is_writable(const sandbox::Spec& spec, std::string_view path) {
  while (path.starts_with('/')) path.remove_prefix(1);
  return std::any_of(spec.mounts, spec.mounts + spec.mount_count, [&](const sandbox::Mount& mount) {
    const std::string_view target = std::string_view(mount.target).substr(1);
    const bool writable =
        mount.kind == sandbox::MountKind::ReadWrite || mount.kind == sandbox::MountKind::Device;
    return writable && path.starts_with(target) &&
           (path.size() == target.size() || path[target.size()] == '/');
  });
}

} // namespace

Listener::Listener(sys::Loop& loop, sys::Fd fd, const sandbox::Spec& spec, Report report)
    : loop_(loop), fd_(std::move(fd)), spec_(spec), report_(std::move(report)),
      bucket_(kCallsPerSecond, kCallsSaved, loop.now()) {}

Result<std::unique_ptr<Listener>> Listener::open(sys::Loop& loop, sys::Fd fd,
                                                 const sandbox::Spec& spec, Report report) {
  std::unique_ptr<Listener> listener(new Listener(loop, std::move(fd), spec, std::move(report)));
  Listener* self = listener.get();
  TRY(listener->ready_, loop.on_fd(listener->fd_.get(), EPOLLIN, [self](std::uint32_t events) {
    if ((events & EPOLLIN) != 0)
      self->read_some();
    else
      self->ready_.reset(); // hung up: nobody has the filter any more
  }));
  return listener;
}

void Listener::read_some() {
  for (int i = 0; i < kCallsPerTurn; ++i) {
    if (!bucket_.take(loop_.now())) return pause();
    const auto call = sys::receive_notification(fd_.get());
    if (!call) return;
    decide(*call);
  }
}

void Listener::pause() {
  auto later = loop_.after(bucket_.until(kCallsPerPause), [this] { ready_.resume(); });
  if (!later) return; // then this is the loop's next turn again
  ready_.pause();
  resume_ = *std::move(later);
}

Listener::Verdict Listener::judge(const seccomp_notif& call, std::string& path) const {
  path = sys::path_argument(call);
  if (!sys::is_open(call)) return {.error = EPERM, .log = true};
  switch (path.empty() ? sandbox::PathClass::Outside : sandbox::classify_path(spec_, path)) {
  case sandbox::PathClass::Silent: return {.pass = true};
  case sandbox::PathClass::Granted:
    // The mount would say EROFS, and the log would call it allowed.
    if (!sys::opens_for_writing(call) || is_writable(spec_, path))
      return {.pass = true, .log = true};
    break;
  case sandbox::PathClass::Outside: break;
  }
  return {.error = EACCES, .log = true};
}

void Listener::decide(const seccomp_notif& call) {
  std::string path;
  const Verdict verdict = judge(call, path);
  // The number could be another process's by now; what was read counts only if this one still
  // waits.
  if (!sys::still_waits(fd_.get(), call)) return;
  if (verdict.pass)
    sys::let_pass(fd_.get(), call);
  else
    sys::refuse(fd_.get(), call, verdict.error);
  if (!verdict.log || !reporting_) return;

  Attempt attempt;
  attempt.syscall = call.data.nr;
  attempt.allowed = verdict.pass ? 1 : 0;
  attempt.lost = lost_;
  std::ranges::copy(call.data.args, attempt.arguments);
  attempt.instruction = call.data.instruction_pointer;
  attempt.when_us = sys::wall_clock_us();
  put_text(attempt.path, path);
  lost_ = report_(attempt) ? 0 : lost_ + 1;
}

} // namespace mohhos::warden
