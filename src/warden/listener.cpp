#include "warden/listener.hpp"

#include <algorithm>

#include <sys/epoll.h>

#include "sys/clock.hpp"
#include "sys/notification.hpp"
#include "warden/messages.hpp"

namespace mohhos::warden {
namespace {

constexpr double kCallsPerSecond = 2000;
constexpr double kCallsSaved = 2000;
constexpr double kCallsPerPause = 100;
constexpr int kCallsPerTurn = 32;

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

void Listener::decide(const seccomp_notif& call) {
  const sandbox::Ruling ruling = sandbox::judge_call(spec_, call, phase_);
  if (!sandbox::answer_call(fd_.get(), call, ruling)) return;
  if (!ruling.log || !reporting_) return;

  Attempt attempt;
  attempt.syscall = call.data.nr;
  attempt.allowed = ruling.pass ? 1 : 0;
  attempt.lost = lost_;
  std::ranges::copy(call.data.args, attempt.arguments);
  attempt.instruction = call.data.instruction_pointer;
  attempt.when_us = sys::wall_clock_us();
  put_text(attempt.path, ruling.path);
  lost_ = report_(attempt) ? 0 : lost_ + 1;
}

} // namespace mohhos::warden
