#include "ipc/waiter.hpp"

#include <algorithm>
#include <chrono>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <utility>

namespace mohhos::ipc {
namespace {

constexpr std::chrono::nanoseconds kNever{0}; // of a timer
constexpr std::chrono::nanoseconds kAtOnce{1};

// Kind and channel in epoll's 64 bits; link_codec bounds channel ids far below.
std::uint64_t pack(WakeKind kind, std::uint64_t channel) {
  return channel << 3 | static_cast<std::uint64_t>(kind);
}
Wake unpack(std::uint64_t data) {
  return {static_cast<WakeKind>(data & 7U), data >> 3};
}

Result<> add(const sys::Fd& epoll, int fd, std::uint32_t events, std::uint64_t data) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = data;
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) != 0) return fail_errno("epoll_ctl");
  return {};
}

// Rounded up: waking a little late is right, waking early would spin.
int milliseconds_until(Monotonic deadline) {
  if (deadline == Monotonic::max()) return -1;
  const Monotonic now = std::chrono::steady_clock::now();
  if (deadline <= now) return 0;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - now).count();
  return static_cast<int>(std::min<std::int64_t>(left, 3'600'000));
}

} // namespace

Result<Waiter> Waiter::open(int link) {
  sys::Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return fail_errno("epoll_create1");
  TRY(add(epoll, link, EPOLLIN, pack(WakeKind::Link, 0)));
  return Waiter(std::move(epoll));
}

Result<> Waiter::add_bell(int bell, WakeKind kind, std::uint64_t channel) {
  return add(epoll_, bell, EPOLLIN | EPOLLET, pack(kind, channel));
}

void Waiter::remove_bell(int bell) noexcept {
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, bell, nullptr);
}

void Waiter::forget_link(int link) noexcept {
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, link, nullptr);
}

Result<> Waiter::set(sys::Fd& timer, WakeKind kind, std::chrono::nanoseconds after) {
  if (!timer) {
    sys::Fd made(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    if (!made) return fail_errno("timerfd_create");
    // Edge-triggered, so nobody needs to read it: setting it anew makes it quiet.
    TRY(add(epoll_, made.get(), EPOLLIN | EPOLLET, pack(kind, 0)));
    timer = std::move(made); // one that nobody waits for would never end a nap
  }
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(after);
  itimerspec spec{};
  spec.it_value.tv_sec = seconds.count();
  spec.it_value.tv_nsec = (after - seconds).count();
  if (::timerfd_settime(timer.get(), 0, &spec, nullptr) != 0) return fail_errno("timerfd_settime");
  return {};
}

Result<> Waiter::set_timer(std::chrono::nanoseconds after) {
  return set(timer_, WakeKind::Timer, std::max(after, kAtOnce));
}

// A timer and not a timeout of epoll: that is whole milliseconds, and where it is not
// (epoll_pwait2) the kernel puts it off by up to 50 µs, as it may every sleep of a thread. Measured
// for 20 µs: 85 with epoll_pwait2, 34 with a timer.
std::span<const Wake> Waiter::nap(std::chrono::nanoseconds time) {
  if (!set(alarm_, WakeKind::Alarm, std::max(time, kAtOnce))) return wait(Monotonic{});
  const std::span<const Wake> wakes = wait(Monotonic::max());
  const auto alarm = std::ranges::remove(wakes_.begin(), wakes_.begin() + wakes.size(),
                                         WakeKind::Alarm, &Wake::kind);
  if (alarm.empty()) (void)set(alarm_, WakeKind::Alarm, kNever);
  return wakes.first(wakes.size() - alarm.size());
}

std::span<const Wake> Waiter::wait(Monotonic deadline) {
  std::array<epoll_event, std::tuple_size_v<decltype(wakes_)>> events{};
  const int timeout = deadline == Monotonic{} ? 0 : milliseconds_until(deadline);
  const int count =
      ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout);
  if (count <= 0) return {}; // nothing, or a signal: the caller looks again
  const auto found = static_cast<std::size_t>(count);
  for (std::size_t i = 0; i < found; ++i) wakes_[i] = unpack(events[i].data.u64);
  return std::span(wakes_).first(found);
}

} // namespace mohhos::ipc
