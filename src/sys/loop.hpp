// One event loop, one thread: descriptors, timers and deferred calls over sd-event.
//
// A Source unregisters itself when destroyed; destroying a source inside its own callback is
// allowed. Callbacks run on the loop's thread; they must not block. Nothing here throws.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/units.hpp"
#include "sys/fd.hpp"

struct sd_event;
struct sd_event_source;

namespace mohhos::sys {

class Source {
public:
  Source() = default;
  Source(Source&&) noexcept = default;
  Source& operator=(Source&&) noexcept = default;
  [[nodiscard]] explicit operator bool() const noexcept { return state_ != nullptr; }
  void reset() noexcept { state_.reset(); }
  // Stops and resumes delivery without unregistering. [loop]
  void pause();
  void resume();
  // Descriptor sources: the epoll events to wait for. [loop]
  void watch(std::uint32_t events);

private:
  friend class Loop;
  struct State;
  struct Release {
    void operator()(State* state) const noexcept;
  };
  std::unique_ptr<State, Release> state_;
};

class Loop {
public:
  [[nodiscard]] static Result<Loop> open();
  Loop(Loop&&) noexcept = default;
  Loop& operator=(Loop&&) noexcept = default;

  // The callback gets the epoll events that are ready. The fd stays the caller's and must outlive
  // the source.
  [[nodiscard]] Result<Source> on_fd(int fd, std::uint32_t events,
                                     std::function<void(std::uint32_t)> callback);
  // Once, `after` from now (CLOCK_MONOTONIC).
  [[nodiscard]] Result<Source> after(std::chrono::microseconds after,
                                     std::function<void()> callback);
  // Again and again; the callback's own time does not shift the next one.
  [[nodiscard]] Result<Source> every(std::chrono::microseconds period,
                                     std::function<void()> callback);
  // Once, on the loop's next turn.
  [[nodiscard]] Result<Source> defer(std::function<void()> callback);

  // Runs until stop(); returns stop's status. [loop]
  [[nodiscard]] Result<int> run();
  void stop(int status = 0);
  [[nodiscard]] Monotonic now() const { return std::chrono::steady_clock::now(); }

private:
  struct Unref {
    void operator()(sd_event* event) const noexcept;
  };
  explicit Loop(sd_event* event) : event_(event) {}
  std::unique_ptr<sd_event, Unref> event_;
};

} // namespace mohhos::sys
