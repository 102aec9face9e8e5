// A plugin as a C++20 class, over the C contract of mohhos/abi.h. Headers only.
//
//     #include <mohhos/sdk.hpp>
//     struct Echo : mohhos::Plugin {
//       void on_message(const mohhos::Message& message) override {
//         if (message.wants_reply()) reply(message, message.copy());
//       }
//     };
//     MOHHOS_PLUGIN(Echo)
//
// Throw to fail: an exception never leaves the plugin; its text becomes the error that `plugctl
// info` shows. Everything here is compiled into the plugin, so it may use another compiler or
// standard library than the host. Unless said otherwise a function is called on the main thread,
// inside a callback (abi.h: [main]).
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "mohhos/abi.h"

namespace mohhos {

using Duration = std::chrono::nanoseconds;
inline constexpr Duration kForever = Duration::max();

enum class MessageType : std::uint32_t {
  Usual = 0, // what the call sends when nothing else is said
  Shutdown = MOHHOS_MSG_SHUTDOWN,
  ConfigUpdate = MOHHOS_MSG_CONFIG_UPDATE,
  DataRequest = MOHHOS_MSG_DATA_REQUEST,
  DataResponse = MOHHOS_MSG_DATA_RESPONSE,
  EventNotify = MOHHOS_MSG_EVENT_NOTIFY,
  AiInference = MOHHOS_MSG_AI_INFERENCE,
  Custom = MOHHOS_MSG_CUSTOM,
};

enum class Capability : std::uint32_t {
  AccessFilesystem = MOHHOS_CAP_ACCESS_FILESYSTEM,
  AccessNetwork = MOHHOS_CAP_ACCESS_NETWORK,
  AccessHardware = MOHHOS_CAP_ACCESS_HARDWARE,
  CreateProcesses = MOHHOS_CAP_CREATE_PROCESSES,
  AccessAiEngine = MOHHOS_CAP_ACCESS_AI_ENGINE,
  ModifySystemConfig = MOHHOS_CAP_MODIFY_SYSTEM_CONFIG,
};

// A call that the host refused; code() is one of MOHHOS_E_....
class Failure : public std::runtime_error {
public:
  Failure(std::int32_t code, const std::string& text) : std::runtime_error(text), code_(code) {}
  [[nodiscard]] std::int32_t code() const noexcept { return code_; }

private:
  std::int32_t code_;
};

[[nodiscard]] constexpr const char* describe(std::int32_t code) noexcept {
  switch (code) {
  case MOHHOS_E_INVALID: return "an argument is wrong";
  case MOHHOS_E_NOT_FOUND: return "there is no such plugin, channel or request";
  case MOHHOS_E_BAD_STATE: return "not legal in this callback or on this thread";
  case MOHHOS_E_NOT_RUNNING: return "the peer is not running";
  case MOHHOS_E_DENIED:
    return "the manifests of both plugins must allow it (acl.send_to, acl.receive_from)";
  case MOHHOS_E_UNREACHABLE: return "the manager cannot be reached";
  case MOHHOS_E_TIMED_OUT: return "the time is over";
  case MOHHOS_E_TOO_LARGE: return "larger than the channel carries";
  case MOHHOS_E_EXHAUSTED: return "a table or the memory is full";
  case MOHHOS_E_PLUGIN_FAILED: return "the peer failed";
  case MOHHOS_E_PEER_GONE: return "the peer is gone";
  case MOHHOS_E_PEER_RESTARTED: return "the peer was restarted";
  case MOHHOS_E_REFUSED: return "the peer's ring is full";
  case MOHHOS_E_CANCELLED: return "given up";
  case MOHHOS_E_UNSUPPORTED: return "this host does not have that";
  default: return "failed";
  }
}

struct SendOptions {
  MessageType type = MessageType::Usual;
  std::int32_t priority = MOHHOS_PRIORITY_NORMAL;
  Duration timeout = std::chrono::seconds(5); // how long to wait for room; 0: refuse at once
  std::uint64_t deadline_ns = 0;              // travels with the message; 0: none
  bool more = false;                          // another one follows at once
};

// Whom to answer, for a reply that comes later than the callback. Copies freely.
using Request = mohhos_request_t;

// A received message: a view that lives as long as the callback. The sender can still change the
// bytes under text() and bytes(): copy() what you parse.
class Message {
public:
  explicit Message(const mohhos_message_t& message) : message_(&message) {}

  [[nodiscard]] MessageType type() const { return static_cast<MessageType>(message_->type); }
  [[nodiscard]] std::uint64_t id() const { return message_->id; }
  [[nodiscard]] std::uint64_t sender() const { return message_->sender; }
  [[nodiscard]] std::string_view sender_name() const { return message_->sender_name; }
  [[nodiscard]] std::int32_t priority() const { return message_->priority; }
  [[nodiscard]] std::uint32_t event() const { return message_->event; }
  [[nodiscard]] std::uint32_t generation() const { return message_->generation; }
  [[nodiscard]] std::uint64_t sent_at_ns() const { return message_->sent_at_ns; }
  [[nodiscard]] std::uint64_t received_at_ns() const { return message_->received_at_ns; }
  [[nodiscard]] std::uint64_t deadline_ns() const { return message_->deadline_ns; }
  [[nodiscard]] bool wants_reply() const {
    return message_->correlation != 0 && type() != MessageType::DataResponse;
  }
  [[nodiscard]] Request request() const {
    return {message_->sender, message_->correlation, message_->deadline_ns};
  }

  [[nodiscard]] std::size_t size() const { return message_->size; }
  [[nodiscard]] bool empty() const { return message_->size == 0; }
  [[nodiscard]] std::string_view text() const {
    return {static_cast<const char*>(message_->data), message_->size};
  }
  [[nodiscard]] std::span<const std::byte> bytes() const {
    return {static_cast<const std::byte*>(message_->data), message_->size};
  }
  [[nodiscard]] std::string copy() const { return std::string(text()); }
  [[nodiscard]] const mohhos_message_t& raw() const { return *message_; }

private:
  const mohhos_message_t* message_;
};

// How a call ended: with an answer, or with a sentence that says why there is none. A view like
// Message.
class Reply {
public:
  Reply(std::int32_t status, const mohhos_message_t& message)
      : status_(status), message_(message) {}

  [[nodiscard]] bool ok() const { return status_ >= 0; }
  [[nodiscard]] std::int32_t status() const { return status_; } // MOHHOS_E_… when not ok()
  [[nodiscard]] const Message& message() const { return message_; }
  [[nodiscard]] std::string copy() const { return message_.copy(); }

private:
  std::int32_t status_;
  Message message_;
};

namespace detail {

inline std::uint64_t nanoseconds(Duration duration) {
  if (duration == kForever) return MOHHOS_FOREVER;
  return duration.count() > 0 ? static_cast<std::uint64_t>(duration.count()) : 0;
}

inline mohhos_send_options_t raw(const SendOptions& options) {
  return {.struct_size = sizeof(mohhos_send_options_t),
          .type = static_cast<std::uint32_t>(options.type),
          .priority = options.priority,
          .flags = options.more ? std::uint32_t{MOHHOS_SEND_MORE} : 0U,
          .deadline_ns = options.deadline_ns,
          .timeout_ns = nanoseconds(options.timeout)};
}

inline std::int32_t demand(std::int32_t result, std::string_view what) {
  if (result < 0) throw Failure(result, std::string(what) + ": " + describe(result));
  return result;
}

} // namespace detail

// A directed channel to one peer. A handle: copies name the same channel; the host closes it at the
// end.
class Channel {
public:
  Channel() = default;
  Channel(const mohhos_host_t* host, mohhos_channel_t channel) : host_(host), channel_(channel) {}
  [[nodiscard]] explicit operator bool() const { return channel_ != 0; }
  [[nodiscard]] mohhos_channel_t raw() const { return channel_; }

  // Published when it returns; throws Failure otherwise.
  void send(std::string_view bytes, const SendOptions& options = {}) const {
    detail::demand(try_send(bytes, options), "send");
  }
  // The same with the outcome as a number: MOHHOS_OK, MOHHOS_E_REFUSED when the ring is full, ….
  [[nodiscard]] std::int32_t try_send(std::string_view bytes,
                                      const SendOptions& options = {}) const {
    const auto raw = detail::raw(options);
    return host_->send(host_, channel_, &raw, bytes.data(), bytes.size());
  }

  // Zero copy: `size` bytes of the ring to write into; commit() publishes them all.
  [[nodiscard]] std::span<std::byte> loan(std::size_t size, const SendOptions& options = {}) const {
    const auto raw = detail::raw(options);
    void* data = nullptr;
    detail::demand(host_->loan(host_, channel_, &raw, size, &data), "loan");
    return {static_cast<std::byte*>(data), size};
  }
  void commit() const { detail::demand(host_->commit(host_, channel_), "commit"); }

  // Asks, and has `done` called with the answer (or with why there is none) in a later callback.
  void call(std::string_view bytes, Duration timeout, std::function<void(const Reply&)> done,
            const SendOptions& options = {}) const;

private:
  const mohhos_host_t* host_ = nullptr;
  mohhos_channel_t channel_ = 0;
};

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
  void reply(const Request& to, std::string_view bytes,
             Duration timeout = std::chrono::seconds(5)) const {
    answer(to, MOHHOS_OK, bytes, timeout);
  }
  void reply(const Message& to, std::string_view bytes) const { reply(to.request(), bytes); }
  void refuse(const Request& to, std::int32_t code, std::string_view text) const {
    answer(to, code, text, std::chrono::seconds(5));
  }
  void refuse(const Message& to, std::int32_t code, std::string_view text) const {
    refuse(to.request(), code, text);
  }

  // How many peers it was sent to.
  std::int32_t publish(std::uint32_t event, std::string_view bytes,
                       const SendOptions& options = {}) const {
    const auto raw = detail::raw(options);
    return detail::demand(host_->publish(host_, event, &raw, bytes.data(), bytes.size()),
                          "publish");
  }
  std::int32_t broadcast(std::uint32_t plugin_type, std::string_view bytes,
                         const SendOptions& options = {}) const {
    const auto raw = detail::raw(options);
    return detail::demand(host_->broadcast(host_, plugin_type, &raw, bytes.data(), bytes.size()),
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
    const auto result =
        host_->reply(host_, &to, status, bytes.data(), bytes.size(), detail::nanoseconds(timeout));
    const bool nobody_waits = result == MOHHOS_E_TIMED_OUT || result == MOHHOS_E_PEER_GONE ||
                              result == MOHHOS_E_PEER_RESTARTED;
    if (!nobody_waits) detail::demand(result, "reply");
  }

  // Set before the derived constructor runs, so that it may log and read its configuration.
  inline static const mohhos_host_t* starting_host = nullptr;
  const mohhos_host_t* host_ = starting_host;

  template <std::derived_from<Plugin> T>
  friend struct Exported;
};

namespace detail {

// The one table of the plugin's process, for the terminate handler, which gets no argument.
inline const mohhos_host_t* process_host = nullptr;

// Runs a hook; its exception becomes the error of the callback. The host's code never sees one.
template <class Hook>
std::int32_t guard(const mohhos_host_t* host, Hook&& hook) noexcept {
  try {
    return std::forward<Hook>(hook)();
  } catch (const Failure& failure) {
    host->fail(host, failure.what());
    return failure.code() < 0 ? failure.code() : MOHHOS_E_PLUGIN_FAILED;
  } catch (const std::exception& exception) {
    host->fail(host, exception.what());
  } catch (...) {
    host->fail(host, "an exception that is not a std::exception");
  }
  return MOHHOS_E_PLUGIN_FAILED;
}

// An exception that nobody caught, on a thread of the plugin's own (or out of a noexcept function).
[[noreturn]] inline void terminated() noexcept {
  std::string text = "terminated without an exception";
  if (const auto current = std::current_exception()) {
    try {
      std::rethrow_exception(current);
    } catch (const std::exception& exception) {
      text = std::string(exception.what()) + " (caught by nobody)";
    } catch (...) {
      text = "an exception that is not a std::exception (caught by nobody)";
    }
  }
  process_host->panic(process_host, text.c_str());
  std::abort();
}

struct PendingCall {
  const mohhos_host_t* host;
  std::function<void(const Reply&)> done;

  static std::int32_t finish(void* user, std::int32_t status,
                             const mohhos_message_t* reply) noexcept {
    const std::unique_ptr<PendingCall> call(static_cast<PendingCall*>(user));
    return guard(call->host, [&] {
      call->done(Reply(status, *reply));
      return MOHHOS_OK;
    });
  }
};

} // namespace detail

inline void Channel::call(std::string_view bytes, Duration timeout,
                          std::function<void(const Reply&)> done,
                          const SendOptions& options) const {
  auto pending = std::make_unique<detail::PendingCall>(detail::PendingCall{host_, std::move(done)});
  const auto raw = detail::raw(options);
  detail::demand(host_->request(host_, channel_, &raw, bytes.data(), bytes.size(),
                                detail::nanoseconds(timeout), &detail::PendingCall::finish,
                                pending.get()),
                 "call");
  static_cast<void>(pending.release()); // finish() owns it now
}

// The table of a class: what MOHHOS_PLUGIN exports.
template <std::derived_from<Plugin> T>
struct Exported {
  static const mohhos_host_t* host_of(void* self) { return static_cast<Plugin*>(self)->host_; }

  template <class Hook>
  static std::int32_t run(void* self, Hook&& hook) noexcept {
    return detail::guard(host_of(self), [&] {
      hook(*static_cast<Plugin*>(self));
      return MOHHOS_OK;
    });
  }

  static void* create(const mohhos_host_t* host) noexcept {
    detail::process_host = Plugin::starting_host = host;
    std::set_terminate(&detail::terminated);
    Plugin* made = nullptr;
    detail::guard(host, [&] {
      made = new T();
      return MOHHOS_OK;
    });
    return made;
  }
  static std::int32_t on_init(void* self) noexcept {
    return run(self, [](Plugin& plugin) { plugin.on_init(); });
  }
  static std::int32_t on_start(void* self) noexcept {
    return run(self, [](Plugin& plugin) { plugin.on_start(); });
  }
  static std::int32_t on_stop(void* self) noexcept {
    return run(self, [](Plugin& plugin) { plugin.on_stop(); });
  }
  static std::int32_t on_message(void* self, const mohhos_message_t* message) noexcept {
    return run(self, [&](Plugin& plugin) { plugin.on_message(Message(*message)); });
  }
  static std::int32_t on_work(void* self) noexcept {
    return detail::guard(host_of(self),
                         [&] { return static_cast<Plugin*>(self)->on_work() ? 1 : 0; });
  }
  static std::int32_t on_config(void* self, const char* key, const char* value) noexcept {
    return run(self, [&](Plugin& plugin) { plugin.on_config(key, value); });
  }
  static std::int32_t on_peer(void* self, std::uint64_t peer, std::uint32_t what) noexcept {
    return run(self, [&](Plugin& plugin) { plugin.on_peer(peer, what); });
  }
  static void destroy(void* self) noexcept { delete static_cast<Plugin*>(self); }

  static constexpr mohhos_plugin_t table(const char* name) {
    return {.struct_size = sizeof(mohhos_plugin_t),
            .abi_version = MOHHOS_ABI_VERSION,
            .name = name,
            .create = &create,
            .on_init = &on_init,
            .on_start = &on_start,
            .on_stop = &on_stop,
            .on_message = &on_message,
            .on_work = &on_work,
            .on_config = &on_config,
            .on_peer = &on_peer,
            .destroy = &destroy};
  }
};

} // namespace mohhos

// mohhos_add_plugin() says the manifest's name to the compiler; without it the name is not
// cross-checked.
#ifndef MOHHOS_PLUGIN_NAME
#define MOHHOS_PLUGIN_NAME nullptr
#endif

// Once per plugin, at namespace scope: exports Class as this shared object's plugin.
#define MOHHOS_PLUGIN(Class)                                                                       \
  extern "C" {                                                                                     \
  constexpr mohhos_plugin_t mohhos_plugin = ::mohhos::Exported<Class>::table(MOHHOS_PLUGIN_NAME);  \
  }
