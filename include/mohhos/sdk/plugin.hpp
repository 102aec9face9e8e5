// The base class of a plugin: hooks, and what a hook may do.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "mohhos/sdk/channel.hpp"
#include "mohhos/sdk/task.hpp"

namespace mohhos {

template <class T>
struct Exported;

// The base of a plugin. Its hooks are abi.h's callbacks, in the same order; throw to fail.
class Plugin {
public:
  Plugin() = default;
  Plugin(const Plugin&) = delete;
  Plugin& operator=(const Plugin&) = delete;
  virtual ~Plugin() = default;

  // Get what start needs: files, tables, threads.
  virtual void on_init() {}
  // Messages arrive from here on; open channels here.
  virtual void on_start() {}
  virtual void on_stop() {}
  virtual void on_message(const Message& message) {
    if (message.wants_reply())
      refuse(message, MOHHOS_E_UNSUPPORTED, "this plugin answers no requests");
  }
  // A slice of own work, aim at less than a millisecond. True: call again at once.
  virtual bool on_work() { return false; }
  virtual void on_config(std::string_view key, std::string_view value) {
    static_cast<void>(key);
    static_cast<void>(value);
  }
  // `what`: MOHHOS_PEER_GONE, MOHHOS_PEER_RESTARTED, ….
  virtual void on_peer(std::uint64_t peer, std::uint32_t what) {
    static_cast<void>(peer);
    static_cast<void>(what);
  }
  // Who asked this does not want the answer any more: stop what is still being done for it. It has
  // the same sender and correlation as message.request() had.
  virtual void on_cancel(const Request& request) { static_cast<void>(request); }

#if defined(__cpp_impl_coroutine)
  // Channel::call for coroutines, also for those that have the plugin as an argument:
  // `co_await ctx.call<Reply>(channel, request, 1s)`.
  template <class R, class Q>
  [[nodiscard]] PendingCall<R> call(const Channel& channel, const Q& request, Duration timeout,
                                    const SendOptions& options = {}) const {
    return channel.call<R>(request, timeout, options);
  }
  // Channel::synced likewise: `co_await ctx.sync(ledger)`.
  [[nodiscard]] PendingSync sync(const Channel& channel,
                                 Duration timeout = std::chrono::seconds(5)) const {
    return channel.synced(timeout);
  }
#endif

protected:
  // Who am I; valid in the constructor too. [any]
  [[nodiscard]] std::uint64_t id() const { return host_->plugin_id; }
  [[nodiscard]] std::uint32_t generation() const { return host_->generation; }
  [[nodiscard]] std::string_view name() const { return host_->plugin_name; }
  [[nodiscard]] std::uint64_t now_ns() const { return host_->now_ns(host_); }

  // [any]
  void error(const std::string& text) const { host_->log(host_, MOHHOS_LOG_ERROR, text.c_str()); }
  void warn(const std::string& text) const { host_->log(host_, MOHHOS_LOG_WARNING, text.c_str()); }
  void info(const std::string& text) const { host_->log(host_, MOHHOS_LOG_INFO, text.c_str()); }
  void debug(const std::string& text) const { host_->log(host_, MOHHOS_LOG_DEBUG, text.c_str()); }

  // A setting: the operator's value, else the manifest's, else nothing.
  [[nodiscard]] std::optional<std::string> config(const char* key) const {
    const char* value = host_->config_get(host_, key);
    return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
  }
  [[nodiscard]] bool granted(Capability capability) const {
    return host_->check_capability(host_, static_cast<std::uint32_t>(capability)) == 1;
  }
  [[nodiscard]] bool granted_custom(unsigned bit) const {
    return host_->check_capability(host_, MOHHOS_CAP_CUSTOM + bit) == 1;
  }

  // on_work soon, from any thread; on_work after a time. [any], [main]
  void wake() const { host_->wake(host_); }
  void wake_after(Duration delay) const { host_->wake_after(host_, detail::nanoseconds(delay)); }

  // The channel to a plugin. Throws Failure with the peer's name in its text. ring_bytes: a wish, 0
  // is the usual size.
  [[nodiscard]] Channel open(const std::string& target, std::uint64_t ring_bytes = 0,
                             Duration timeout = std::chrono::seconds(2)) const {
    return open_raw(0, target, ring_bytes, timeout);
  }
  [[nodiscard]] Channel open(std::uint64_t target, std::uint64_t ring_bytes = 0,
                             Duration timeout = std::chrono::seconds(2)) const {
    return open_raw(target, {}, ring_bytes, timeout);
  }

  // Answers a request, now or later. One whose asker has gone or given up meanwhile is not a
  // failure.
  template <class T>
  void reply(const Request& to, const T& payload,
             Duration timeout = std::chrono::seconds(5)) const {
    const detail::Flat<T> flat(payload);
    answer(to, MOHHOS_OK, {flat.data(), flat.size()}, timeout);
  }
  template <class T>
  void reply(const Message& to, const T& payload) const {
    reply(to.request(), payload);
  }
  // The same with a memory that goes along.
  template <class T>
  void reply(const Request& to, const T& payload, Memory& memory,
             Duration timeout = std::chrono::seconds(5)) const {
    const detail::Flat<T> flat(payload);
    judge_answer(host_->reply_memory(host_, &to, flat.data(), flat.size(),
                                     memory.take_for_sending(), detail::nanoseconds(timeout)));
  }
  template <class T>
  void reply(const Message& to, const T& payload, Memory& memory) const {
    reply(to.request(), payload, memory);
  }
  void refuse(const Request& to, std::int32_t code, std::string_view text) const {
    answer(to, code, text, std::chrono::seconds(5));
  }
  void refuse(const Message& to, std::int32_t code, std::string_view text) const {
    refuse(to.request(), code, text);
  }

  // A memory to send along (memory.hpp), all zeros. on_start and later. Throws Failure: EXHAUSTED,
  // TOO_LARGE (more than max_memory_mb), ….
  [[nodiscard]] Memory make_memory(std::size_t size,
                                   Duration timeout = std::chrono::seconds(2)) const {
    if (!detail::has(host_, &mohhos_host_t::make_memory))
      throw Failure(MOHHOS_E_UNSUPPORTED, "make_memory: this host has no shared memories");
    mohhos_memory_t number = 0;
    void* data = nullptr;
    detail::demand(host_->make_memory(host_, size, detail::nanoseconds(timeout), &number, &data),
                   "make_memory");
    return {host_, number, {static_cast<std::byte*>(data), size}};
  }

#if defined(__cpp_impl_coroutine)
  // Runs a coroutine until it first waits, and keeps it until it ends: task.hpp. Throws what it
  // threw so far.
  void start(Task task) { tasks_.start(std::move(task).release()); }
#endif

  // To everybody who subscribed; the manifest's [events] says which event types this plugin has.
  // How many peers it was sent to.
  template <class T>
  std::int32_t publish(std::uint32_t event, const T& payload,
                       const SendOptions& options = {}) const {
    const detail::Flat<T> flat(payload);
    const auto raw = detail::raw(options);
    return detail::demand(host_->publish(host_, event, &raw, flat.data(), flat.size()), "publish");
  }
  template <class T>
  std::int32_t broadcast(std::uint32_t plugin_type, const T& payload,
                         const SendOptions& options = {}) const {
    const detail::Flat<T> flat(payload);
    const auto raw = detail::raw(options);
    return detail::demand(host_->broadcast(host_, plugin_type, &raw, flat.data(), flat.size()),
                          "broadcast");
  }
  void subscribe(std::span<const std::uint32_t> events, std::uint64_t publisher = 0) const {
    detail::demand(host_->subscribe(host_, publisher, events.data(), events.size()), "subscribe");
  }

  // The C table, for what has no C++ form here.
  [[nodiscard]] const mohhos_host_t* host() const { return host_; }

private:
  Channel open_raw(std::uint64_t id, const std::string& name, std::uint64_t ring_bytes,
                   Duration timeout) const {
    mohhos_channel_t channel = 0;
    const auto result = host_->open_channel(host_, id, name.c_str(), ring_bytes,
                                            detail::nanoseconds(timeout), &channel);
    if (result < 0)
      detail::demand(result, "opening a channel to " +
                                 (name.empty() ? "plugin " + std::to_string(id) : name));
    return {host_, channel};
  }
  void answer(const Request& to, std::int32_t status, std::string_view bytes,
              Duration timeout) const {
    judge_answer(
        host_->reply(host_, &to, status, bytes.data(), bytes.size(), detail::nanoseconds(timeout)));
  }
  static void judge_answer(std::int32_t result) {
    const bool nobody_waits = result == MOHHOS_E_TIMED_OUT || result == MOHHOS_E_PEER_GONE ||
                              result == MOHHOS_E_PEER_RESTARTED;
    if (!nobody_waits) detail::demand(result, "reply");
  }

  // Set before the derived constructor runs, so that it may log and read its configuration.
  inline static const mohhos_host_t* starting_host = nullptr;
  const mohhos_host_t* host_ = starting_host;
#if defined(__cpp_impl_coroutine)
  detail::Tasks tasks_{starting_host};
#endif

  template <class T>
  friend struct Exported;
};

} // namespace mohhos
