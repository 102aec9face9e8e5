#include "sys/loop.hpp"

#include <systemd/sd-event.h>

#include "base/check.hpp"

namespace mohhos::sys {

// Owned by its Source; `busy` counts the callbacks on the stack, so that a source that is destroyed
// by its own callback lives until that callback has returned.
struct Source::State {
  sd_event_source* source = nullptr;
  std::function<void(std::uint32_t)> on_ready;
  std::function<void()> on_time;
  std::uint64_t period_us = 0;
  int busy = 0;
  bool released = false;

  ~State() { sd_event_source_disable_unref(source); }
};

namespace {

std::uint64_t microseconds(std::chrono::microseconds duration) {
  return duration.count() > 0 ? static_cast<std::uint64_t>(duration.count()) : 0;
}

template <class State, class Call>
int run_callback(State* state, Call call) {
  ++state->busy;
  call();
  if (--state->busy == 0 && state->released) delete state;
  return 0;
}

} // namespace

void Source::Release::operator()(State* state) const noexcept {
  if (state->busy == 0) {
    delete state;
    return;
  }
  state->released = true;
  sd_event_source_set_enabled(state->source, SD_EVENT_OFF);
}

void Source::pause() {
  CHECK(sd_event_source_set_enabled(state_->source, SD_EVENT_OFF) >= 0);
}
void Source::resume() {
  CHECK(sd_event_source_set_enabled(state_->source, SD_EVENT_ON) >= 0);
}
void Source::watch(std::uint32_t events) {
  CHECK(sd_event_source_set_io_events(state_->source, events) >= 0);
}

void Loop::Unref::operator()(sd_event* event) const noexcept {
  sd_event_unref(event);
}

Result<Loop> Loop::open() {
  sd_event* event = nullptr;
  if (const int result = sd_event_new(&event); result < 0)
    return fail_errno(-result, "sd_event_new");
  return Loop(event);
}

Result<Source> Loop::on_fd(int fd, std::uint32_t events,
                           std::function<void(std::uint32_t)> callback) {
  Source source;
  source.state_.reset(new Source::State);
  auto* state = source.state_.get();
  state->on_ready = std::move(callback);
  const auto ready = [](sd_event_source*, int, std::uint32_t revents, void* data) {
    auto* self = static_cast<Source::State*>(data);
    return run_callback(self, [&] { self->on_ready(revents); });
  };
  if (const int result = sd_event_add_io(event_.get(), &state->source, fd, events, ready, state);
      result < 0)
    return fail_errno(-result, "sd_event_add_io");
  return source;
}

Result<Source> Loop::after(std::chrono::microseconds after, std::function<void()> callback) {
  Source source;
  source.state_.reset(new Source::State);
  auto* state = source.state_.get();
  state->on_time = std::move(callback);
  const auto due = [](sd_event_source*, std::uint64_t, void* data) {
    auto* self = static_cast<Source::State*>(data);
    return run_callback(self, [&] { self->on_time(); });
  };
  const int result = sd_event_add_time_relative(event_.get(), &state->source, CLOCK_MONOTONIC,
                                                microseconds(after), 1, due, state);
  if (result < 0) return fail_errno(-result, "sd_event_add_time");
  return source;
}

Result<Source> Loop::every(std::chrono::microseconds period, std::function<void()> callback) {
  CHECK(period.count() > 0);
  Source source;
  source.state_.reset(new Source::State);
  auto* state = source.state_.get();
  state->on_time = std::move(callback);
  state->period_us = microseconds(period);
  const auto due = [](sd_event_source* event_source, std::uint64_t at, void* data) {
    auto* self = static_cast<Source::State*>(data);
    std::uint64_t now = at;
    sd_event_now(sd_event_source_get_event(event_source), CLOCK_MONOTONIC, &now);
    // A loop that was held up skips the ticks that it missed.
    const std::uint64_t missed = (now - at) / self->period_us;
    sd_event_source_set_time(event_source, at + (missed + 1) * self->period_us);
    sd_event_source_set_enabled(event_source, SD_EVENT_ONESHOT);
    return run_callback(self, [&] { self->on_time(); });
  };
  const int result = sd_event_add_time_relative(event_.get(), &state->source, CLOCK_MONOTONIC,
                                                state->period_us, 1, due, state);
  if (result < 0) return fail_errno(-result, "sd_event_add_time");
  return source;
}

Result<Source> Loop::defer(std::function<void()> callback) {
  Source source;
  source.state_.reset(new Source::State);
  auto* state = source.state_.get();
  state->on_time = std::move(callback);
  const auto due = [](sd_event_source*, void* data) {
    auto* self = static_cast<Source::State*>(data);
    return run_callback(self, [&] { self->on_time(); });
  };
  if (const int result = sd_event_add_defer(event_.get(), &state->source, due, state); result < 0)
    return fail_errno(-result, "sd_event_add_defer");
  return source;
}

Result<int> Loop::run() {
  const int status = sd_event_loop(event_.get());
  if (status < 0) return fail_errno(-status, "sd_event_loop");
  return status;
}

void Loop::stop(int status) {
  CHECK(sd_event_exit(event_.get(), status) >= 0);
}

} // namespace mohhos::sys
