// One epoll for everything that an endpoint can sleep on: its link, the data bells of the channels
// it receives on, the space bells of those it sends on, and what its owner wants to be woken by.
// Bells are edge-triggered and never read (doorbell.hpp says why); the link is level-triggered.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <span>

#include "base/units.hpp"
#include "sys/fd.hpp"

namespace mohhos::ipc {

enum class WakeKind : std::uint8_t {
  Link = 0,
  Data = 1,
  Space = 2,
  Other = 3,
  Timer = 4,
  Alarm = 5, // the Waiter's own
};
struct Wake {
  WakeKind kind{};
  std::uint64_t channel = 0;
};

class Waiter {
public:
  [[nodiscard]] static Result<Waiter> open(int link);
  [[nodiscard]] Result<> add_bell(int bell, WakeKind kind, std::uint64_t channel);
  // Also when the channel's memory is gone, the peer may keep the bell's description alive. [any]
  void remove_bell(int bell) noexcept;
  // A link that is at its end would be reported again and again. [any]
  void forget_link(int link) noexcept;

  // One wake of kind Timer after this time; a second call moves it. For what is not urgent: a
  // deadline of wait() costs each sleep 300 ns, this costs a system call when it is set. [any]
  [[nodiscard]] Result<> set_timer(std::chrono::nanoseconds after);

  // What rang, at most 16 of them; waits until `deadline` at the latest. The span lives until the
  // next wait() or nap(). [any]
  [[nodiscard]] std::span<const Wake> wait(Monotonic deadline);
  // The same for microseconds: nothing rang, or what ended it early. [any]
  [[nodiscard]] std::span<const Wake> nap(std::chrono::nanoseconds time);
  [[nodiscard]] int fd() const noexcept { return epoll_.get(); }

private:
  explicit Waiter(sys::Fd epoll) : epoll_(std::move(epoll)) {}
  // Made when first set; 0: never.
  [[nodiscard]] Result<> set(sys::Fd& timer, WakeKind kind, std::chrono::nanoseconds after);

  sys::Fd epoll_;
  sys::Fd timer_;
  sys::Fd alarm_; // ends a nap
  std::array<Wake, 16> wakes_{};
};

} // namespace mohhos::ipc
