// Coroutines: what would be a chain of callbacks, written as one function.
//
//     mohhos::Task locate(mohhos::OwnedMessage question) {
//       const auto fix = co_await radar.call<Position>(question.as<Where>(), 1s);
//       co_await mohhos::sleep(10ms);
//       reply(question, fix);
//     }
//     void on_message(const mohhos::Message& m) override { start(locate(m.keep())); }
//
//     const auto picture = co_await camera.call<mohhos::OwnedMessage>(Shot{}, 1s);
//     show(picture.memory()); // what came along with the answer (memory.hpp)
//
// start() runs it until it first waits; the rest happens in later callbacks, on the plugin's one
// thread. The plugin owns the frame: it is destroyed when the function ends, or with the plugin. An
// exception that leaves a task is an exception of the callback that it ran in, and ends the process
// with its text. A task that awaits another one (TaskOf<T>) gets its value, or its exception.
//
// A message view ends with its callback, and so at the first co_await: a coroutine that takes one
// does not compile. keep() gives the copy to pass.
#pragma once

#if defined(__cpp_impl_coroutine)

#include <concepts>
#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "mohhos/sdk/channel.hpp"

namespace mohhos {

template <class T>
class TaskOf;
// What start() takes.
using Task = TaskOf<void>;

namespace detail {

class Tasks;

// What all frames have: whose they are, and who waits for them.
struct PromiseBase {
  Tasks* tasks = nullptr;
  std::coroutine_handle<> awaiting;     // nobody: a started task
  std::coroutine_handle<> self;         // of a started task
  PromiseBase* next_finished = nullptr; // Tasks' list
  std::size_t place = 0;                // in Tasks' table
  std::exception_ptr exception;

  PromiseBase() = default;
  template <class... Parameters>
  static constexpr bool kOutlives = ((!std::same_as<std::remove_cvref_t<Parameters>, Message> &&
                                      !std::same_as<std::remove_cvref_t<Parameters>, Reply>) &&
                                     ...);

  std::suspend_always initial_suspend() noexcept { return {}; }
  void unhandled_exception() noexcept { exception = std::current_exception(); }
};

// The plugin's started tasks.
class Tasks {
public:
  explicit Tasks(const mohhos_host_t* host) : host_(host) {}
  Tasks(const Tasks&) = delete;
  Tasks& operator=(const Tasks&) = delete;
  ~Tasks() { clear(); }

  [[nodiscard]] const mohhos_host_t* host() const { return host_; }
  [[nodiscard]] std::size_t size() const { return started_.size(); }

  // Takes the frame and runs it until it waits. Throws what a task that ended thereby threw.
  void start(PromiseBase& promise) {
    promise.tasks = this;
    promise.place = started_.size();
    started_.push_back(&promise);
    promise.self.resume();
    reap();
  }
  // Goes on with one that waited: the body of a callback.
  std::int32_t resume(std::coroutine_handle<> frame) noexcept {
    return guard(host_, [&] {
      frame.resume();
      reap();
      return MOHHOS_OK;
    });
  }
  // A started task has come to its end; its frame is destroyed once nothing runs in it.
  void finished(PromiseBase& promise) noexcept {
    promise.next_finished = std::exchange(finished_, &promise);
  }
  void clear() noexcept {
    while (!started_.empty()) destroy(*started_.back());
  }

private:
  void destroy(PromiseBase& promise) noexcept {
    started_[promise.place] = started_.back();
    started_[promise.place]->place = promise.place;
    started_.pop_back();
    promise.self.destroy();
  }
  void reap() {
    std::exception_ptr first;
    while (PromiseBase* const promise = finished_) {
      finished_ = promise->next_finished;
      if (promise->exception) first = promise->exception;
      destroy(*promise);
    }
    if (first) std::rethrow_exception(first);
  }

  const mohhos_host_t* host_;
  std::vector<PromiseBase*> started_;
  PromiseBase* finished_ = nullptr;
};

// The end of a frame: goes on with whoever waits for it.
struct FinalSuspend {
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> frame) const noexcept {
    PromiseBase& promise = frame.promise();
    if (promise.awaiting) return promise.awaiting;
    promise.tasks->finished(promise);
    return std::noop_coroutine();
  }
  void await_resume() const noexcept {}
};

template <class T>
struct Promise : PromiseBase {
  Promise() = default;
  template <class... Parameters>
  explicit Promise(Parameters&...) {
    static_assert(kOutlives<Parameters...>,
                  "a message view ends with the callback, so a coroutine cannot take one: pass "
                  "message.keep(), or a value out of it");
  }
  TaskOf<T> get_return_object();
  FinalSuspend final_suspend() noexcept { return {}; }
  template <class Value>
  void return_value(Value&& value) {
    result.emplace(std::forward<Value>(value));
  }
  T take() {
    if (exception) std::rethrow_exception(exception);
    return *std::move(result);
  }
  std::optional<T> result;
};

template <>
struct Promise<void> : PromiseBase {
  Promise() = default;
  template <class... Parameters>
  explicit Promise(Parameters&...) {
    static_assert(kOutlives<Parameters...>,
                  "a message view ends with the callback, so a coroutine cannot take one: pass "
                  "message.keep(), or a value out of it");
  }
  TaskOf<void> get_return_object();
  FinalSuspend final_suspend() noexcept { return {}; }
  void return_void() noexcept {}
  void take() {
    if (exception) std::rethrow_exception(exception);
  }
};

} // namespace detail

// A coroutine that was called and has not begun: start() it, or co_await it in another one.
// Dropping it drops the frame.
template <class T>
class [[nodiscard]] TaskOf {
public:
  using promise_type = detail::Promise<T>;
  explicit TaskOf(std::coroutine_handle<promise_type> frame) : frame_(frame) {}
  TaskOf(TaskOf&& other) noexcept : frame_(std::exchange(other.frame_, {})) {}
  TaskOf& operator=(TaskOf&&) = delete;
  ~TaskOf() {
    if (frame_) frame_.destroy();
  }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> awaiting) {
    frame_.promise().tasks = awaiting.promise().tasks;
    frame_.promise().awaiting = awaiting;
    return frame_;
  }
  T await_resume() { return frame_.promise().take(); }

  // For start(): the frame is the caller's then.
  [[nodiscard]] detail::PromiseBase& release() && {
    auto& promise = frame_.promise();
    promise.self = std::exchange(frame_, {});
    return promise;
  }

private:
  std::coroutine_handle<promise_type> frame_;
};

namespace detail {

template <class T>
TaskOf<T> Promise<T>::get_return_object() {
  return TaskOf<T>(std::coroutine_handle<Promise>::from_promise(*this));
}
inline TaskOf<void> Promise<void>::get_return_object() {
  return TaskOf<void>(std::coroutine_handle<Promise>::from_promise(*this));
}

// Something that the host will say later, shared by the host and the frame that waits for it:
// whichever is done with it last deletes it.
struct Signal {
  bool given = false;     // by the host
  bool abandoned = false; // by the frame
  Tasks* tasks = nullptr;
  std::coroutine_handle<> awaiting;
  std::int32_t status = MOHHOS_OK;
  const mohhos_message_t* reply = nullptr; // during the callback that gives it
  std::optional<OwnedMessage> kept;        // given before it was awaited
  bool wants_memory = false;               // of the answer, if it has one

  static std::int32_t on_reply(void* user, std::int32_t status,
                               const mohhos_message_t* reply) noexcept {
    auto* const signal = static_cast<Signal*>(user);
    if (signal->abandoned) return drop(signal);
    signal->given = true;
    signal->status = status;
    if (signal->awaiting) {
      signal->reply = reply;
      return signal->tasks->resume(signal->awaiting);
    }
    signal->keep(*reply);
    return MOHHOS_OK;
  }
  static std::int32_t on_time(void* user) noexcept {
    auto* const signal = static_cast<Signal*>(user);
    if (signal->abandoned) return drop(signal);
    signal->given = true;
    return signal->tasks->resume(signal->awaiting);
  }

private:
  void keep(const mohhos_message_t& answer) {
    mohhos_message_t rest = answer;
    rest.flags &= ~std::uint32_t{MOHHOS_MESSAGE_MEMORY};
    try {
      kept.emplace(Message(wants_memory ? answer : rest));
    } catch (const Failure& failure) { // there was no room for its memory
      const std::string_view why = failure.what();
      status = failure.code();
      rest.data = why.data();
      rest.size = why.size();
      kept.emplace(Message(rest));
    }
  }
  static std::int32_t drop(Signal* signal) noexcept {
    delete signal;
    return MOHHOS_OK;
  }
};

// The frame's share.
class SignalHolder {
public:
  SignalHolder() : signal_(new Signal) {}
  SignalHolder(SignalHolder&& other) noexcept : signal_(std::exchange(other.signal_, nullptr)) {}
  SignalHolder& operator=(SignalHolder&&) = delete;
  ~SignalHolder() {
    if (signal_ == nullptr) return;
    if (signal_->given || !lent_)
      delete signal_;
    else
      signal_->abandoned = true;
  }
  Signal* operator->() const { return signal_; }
  [[nodiscard]] Signal* get() const { return signal_; }
  // The host has it as well from now on.
  void lent() { lent_ = true; }

  template <class Promise>
  void wait(std::coroutine_handle<Promise> frame) const {
    signal_->tasks = frame.promise().tasks;
    signal_->awaiting = frame;
  }

private:
  Signal* signal_;
  bool lent_ = false;
};

} // namespace detail

// A request under way: co_await it, once. Gives the answer as an R; throws Failure with the status
// and the sentence when there is none (TIMED_OUT, PEER_GONE, PEER_RESTARTED, PLUGIN_FAILED, …) and
// MALFORMED when the answer is no R. As an OwnedMessage it comes whole, with the memory that came
// along (EXHAUSTED: there was no descriptor for it); as anything else without.
template <class R>
class [[nodiscard]] PendingCall {
public:
  template <class Q>
  PendingCall(const mohhos_host_t* host, mohhos_channel_t channel, const Q& request,
              Duration timeout, const SendOptions& options) {
    const detail::Flat<Q> flat(request);
    const auto raw = detail::raw(options);
    signal_->wants_memory = std::is_same_v<R, OwnedMessage>;
    handle_ = {host, detail::demand(host->request(host, channel, &raw, flat.data(), flat.size(),
                                                  detail::nanoseconds(timeout),
                                                  &detail::Signal::on_reply, signal_.get()),
                                    "call")};
    signal_.lent();
    can_cancel_ = detail::has(host, &mohhos_host_t::cancel);
  }
  PendingCall(const PendingCall&) = delete;
  PendingCall& operator=(const PendingCall&) = delete;
  // Dropped before its end: nobody wants the answer any more.
  ~PendingCall() {
    if (signal_->given || !can_cancel_) return;
    try {
      handle_.cancel();
    } catch (const Failure&) { // NOLINT(bugprone-empty-catch)
      // On another thread, or too late: then it is just not listened to.
    }
  }

  // Takes it back: whoever awaits it gets Failure CANCELLED. False: it has ended already.
  bool cancel() const { return handle_.cancel(); }

  [[nodiscard]] bool await_ready() const noexcept { return signal_->given; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> frame) const {
    signal_.wait(frame);
  }
  R await_resume() const {
    const mohhos_message_t* const raw =
        signal_->kept ? &signal_->kept->raw() : std::exchange(signal_->reply, nullptr);
    if (raw == nullptr) throw Failure(MOHHOS_E_BAD_STATE, "a call is awaited once");
    const Reply reply(signal_->status, *raw);
    if constexpr (std::is_void_v<R>) {
      if (!reply.ok()) throw Failure(reply.status(), reply.copy());
    } else if constexpr (std::is_same_v<R, OwnedMessage>) {
      if (!reply.ok()) throw Failure(reply.status(), reply.copy());
      return signal_->kept ? *std::move(signal_->kept) : reply.message().keep();
    } else {
      return reply.as<R>();
    }
  }

private:
  detail::SignalHolder signal_;
  CallHandle handle_;
  bool can_cancel_ = false;
};

template <class R, class Q>
PendingCall<R> Channel::call(const Q& request, Duration timeout, const SendOptions& options) const {
  return PendingCall<R>(host_, channel_, request, timeout, options);
}

// A sync under way: co_await it, once. Throws Failure as Channel::sync does.
class [[nodiscard]] PendingSync {
public:
  PendingSync(const mohhos_host_t* host, mohhos_channel_t channel, Duration timeout) {
    if (!detail::has(host, &mohhos_host_t::begin_sync))
      throw Failure(MOHHOS_E_UNSUPPORTED, "synced: this host syncs only while it waits");
    detail::demand(host->begin_sync(host, channel, detail::nanoseconds(timeout),
                                    &detail::Signal::on_reply, signal_.get()),
                   "synced");
    signal_.lent();
  }
  PendingSync(const PendingSync&) = delete;
  PendingSync& operator=(const PendingSync&) = delete;

  [[nodiscard]] bool await_ready() const noexcept { return signal_->given; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> frame) const {
    signal_.wait(frame);
  }
  void await_resume() const {
    const mohhos_message_t* const raw =
        signal_->kept ? &signal_->kept->raw() : std::exchange(signal_->reply, nullptr);
    if (raw == nullptr) throw Failure(MOHHOS_E_BAD_STATE, "a sync is awaited once");
    const Reply reply(signal_->status, *raw);
    if (!reply.ok()) throw Failure(reply.status(), reply.copy());
  }

private:
  detail::SignalHolder signal_;
};

inline PendingSync Channel::synced(Duration timeout) const {
  return PendingSync(host_, channel_, timeout);
}

namespace detail {
class Sleep {
public:
  explicit Sleep(Duration duration) : duration_(duration) {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> frame) {
    const mohhos_host_t* const host = frame.promise().tasks->host();
    if (!has(host, &mohhos_host_t::call_after))
      throw Failure(MOHHOS_E_UNSUPPORTED, "sleep: this host has no timers");
    demand(host->call_after(host, nanoseconds(duration_), &Signal::on_time, signal_.get()),
           "sleep");
    signal_.lent();
    signal_.wait(frame);
  }
  void await_resume() const noexcept {}

private:
  Duration duration_;
  SignalHolder signal_;
};
} // namespace detail

// `co_await mohhos::sleep(10ms)`: lets everything else go on meanwhile. While the plugin is not
// RUNNING nothing wakes up.
[[nodiscard]] inline detail::Sleep sleep(Duration duration) {
  return detail::Sleep(duration);
}

} // namespace mohhos

#endif
