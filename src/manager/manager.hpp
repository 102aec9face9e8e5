// The manager: executes what the pure parts decide. It owns the plugins, the conversation with the
// warden, the links, the broker and the monitor; the control socket's server (api/) is its caller.
//
// Everything is asynchronous on one loop: an operation takes a Reply, which is called exactly once,
// later, on the loop (never from inside the call). A caller that goes away just drops what the
// reply would have told.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "ipc/broker.hpp"
#include "ipc/channel_report.hpp"
#include "manager/config.hpp"
#include "manager/dead_letters.hpp"
#include "model/info.hpp"
#include "model/paths.hpp"
#include "model/refusal.hpp"
#include "monitor/logs.hpp"
#include "registry/registry.hpp"
#include "sys/fd.hpp"
#include "sys/loop.hpp"

namespace mohhos::manager {

template <class T>
using Reply = std::function<void(Result<T>)>;

// Who asks, as SO_PEERCRED has it; for the audit log and the per-uid limits.
struct Caller {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::int32_t pid = 0;
};

struct LoadRequest {
  std::string path; // of the file; only for people when `image` is there
  sys::Fd image;    // the plugin's bytes: a sealed memfd, or any regular file (it is copied); or
                    // nothing: the manager opens `path` and `path`.minisig with its own rights
  std::string signature; // the text of the .minisig file; with `image` only
};

// A state change, for `watch`.
struct Event {
  std::uint64_t when_us = 0;
  PluginId id;
  std::string name;
  model::State from = model::State::Unloaded;
  model::State to = model::State::Unloaded;
  std::string cause;
};

struct LogRecord {
  PluginId id;
  std::string plugin;
  monitor::LogLine line;
};

struct Attempts {
  model::PluginInfo plugin;
  std::vector<model::Refusal> entries;
  std::uint64_t lost = 0;
};

// A channel, who its ends are, and what they have counted of themselves.
struct ChannelStatus {
  ipc::ChannelRecord record;
  std::string sender;
  std::string receiver;
  bool from_application = false;
  bool to_application = false;
  ipc::ChannelReport report;
  // That went with its messages, and that the receiver has not let go of: by our own book.
  std::uint64_t memories = 0;
  // Of its sender's manifest, and what came of it: bytes of the ring that lie in huge pages now.
  // Nothing: the kernel does not say.
  bool asks_huge_pages = false;
  std::optional<std::uint64_t> huge_page_bytes = 0;
};

// What a recorder asks for: one channel by its number, or all from one end to another, also those
// that open later. An end is a plugin's name, or "application" for any program.
struct TapRequest {
  PluginId recorder; // an endpoint of the caller's own
  ChannelId channel; // 0: by ends
  std::string sender;
  std::string receiver;
};
struct TapStatus {
  std::string sender;
  std::string receiver;
  std::vector<ChannelId> channels; // that are open already
};

struct DaemonStatus {
  std::string version;
  std::int32_t warden_pid = 0;
  std::int32_t manager_pid = 0;
  std::uint32_t manager_restarts = 0;
  std::string mode; // "privileged", "user-with-subuids", "user"
  std::string kernel;
  std::uint32_t landlock_abi = 0;
  std::string limits_backend; // "cgroup v1", "cgroup v2", "none"
  model::SandboxLevel best_level = model::SandboxLevel::None;
  model::WallSet missing = 0; // of L3, on this machine
  std::uint32_t plugins = 0;
  std::uint32_t channels = 0;
  std::string root;
  std::uint64_t uptime_us = 0;
};

struct OpenedEndpoint {
  PluginId id;
  sys::Fd link; // the application's end
};

// An endpoint that may send to the letter's plugin, whatever its ACL says.
struct LetterRetry {
  LetterHead head;
  OpenedEndpoint endpoint;
};

struct OpenedReplay {
  OpenedEndpoint endpoint;
  bool overrides = false; // the plugin does not take messages from applications, but these it does
};

// Ends its subscription when destroyed.
class [[nodiscard]] Subscription {
public:
  Subscription() = default;
  explicit Subscription(std::function<void()> end) : end_(std::move(end)) {}
  Subscription(Subscription&& other) noexcept : end_(std::exchange(other.end_, nullptr)) {}
  Subscription& operator=(Subscription&& other) noexcept {
    if (this != &other) {
      if (end_) end_();
      end_ = std::exchange(other.end_, nullptr);
    }
    return *this;
  }
  Subscription(const Subscription&) = delete;
  Subscription& operator=(const Subscription&) = delete;
  ~Subscription() {
    if (end_) end_();
  }

private:
  std::function<void()> end_;
};

class Manager {
public:
  struct Setup {
    model::Paths paths;
    std::filesystem::path root; // for people
    Config config;
    sys::Fd warden; // warden/protocol.hpp
  };
  // `on_ready` is called once, when everything that the warden kept has been adopted: the listening
  // control socket is handed over, and from then on operations may be called. The loop must outlive
  // the manager.
  [[nodiscard]] static Result<std::unique_ptr<Manager>>
  open(sys::Loop& loop, Setup setup, std::function<void(sys::Fd listening)> on_ready);
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;
  ~Manager();

  // The eight operations of US-004. Each reply's error is one sentence with its Code. [loop]
  void load(const Caller& caller, LoadRequest request, Reply<model::PluginInfo> reply);
  // `force`: of a plugin that runs or is suspended (it is killed), or that others depend on.
  // The reply carries the last that could be said of the plugin (state UNLOADED).
  void unload(const Caller& caller, PluginId id, bool force, Reply<model::PluginInfo> reply);
  void start(const Caller& caller, PluginId id, Reply<model::PluginInfo> reply);
  void stop(const Caller& caller, PluginId id, Reply<model::PluginInfo> reply);
  void suspend(const Caller& caller, PluginId id, Reply<model::PluginInfo> reply);
  void resume(const Caller& caller, PluginId id, Reply<model::PluginInfo> reply);
  [[nodiscard]] Result<model::PluginInfo> info(PluginId id) const;
  [[nodiscard]] std::vector<model::PluginInfo> list() const;

  // By id, or by name when id is 0. NotFound names what was asked and says what is there. [loop]
  [[nodiscard]] Result<PluginId> resolve(PluginId id, std::string_view name) const;

  [[nodiscard]] Result<Attempts> attempts(PluginId id) const;
  // `capability`: a name of US-004, or "custom:<bit>". Invalid names what is allowed. [loop]
  [[nodiscard]] Result<bool> check_capability(PluginId id, std::string_view capability) const;
  [[nodiscard]] Result<std::vector<registry::DependencyState>>
  check_dependencies(PluginId id) const;

  // The last `tail` kept lines (0: all), oldest first; of all plugins when id is 0. [loop]
  [[nodiscard]] std::vector<LogRecord> logs(PluginId id, std::size_t tail) const;
  // Called for every line from now on; id 0: of all plugins. Must not block. [loop]
  Subscription follow_logs(PluginId id, std::function<void(const LogRecord&)> on_line);
  // Called for every state change; id 0: of all plugins. [loop]
  Subscription watch(PluginId id, std::function<void(const Event&)> on_event);

  // A link for a program that is not a plugin; it ends when the program closes it. [loop]
  [[nodiscard]] Result<OpenedEndpoint> open_endpoint(const Caller& caller, std::string_view name);

  void dead_letters(Reply<std::vector<LetterHead>> reply);
  void show_letter(const Caller& caller, std::uint64_t id, Reply<DeadLetter> reply);
  // The letter stays until it is dropped. NotFound: the letter, or the plugin. [loop]
  void retry_letter(const Caller& caller, std::uint64_t id, Reply<LetterRetry> reply);
  void drop_letter(const Caller& caller, std::uint64_t id, Reply<void> reply);
  // By id; of all when `end` is 0, else those that this plugin or application is an end of.
  // NotFound: nobody has this id. [loop]
  [[nodiscard]] Result<std::vector<ChannelStatus>> channels(PluginId end) const;

  // Copies of messages for a recorder, from now on until its endpoint ends. NotFound, Exists: it is
  // being recorded already. [loop]
  [[nodiscard]] Result<TapStatus> tap(const Caller& caller, const TapRequest& request);
  // An endpoint that this plugin takes messages from, whatever its receive_from says: for an
  // admin's replay. `recording` and `messages` are for the audit log. [loop]
  [[nodiscard]] Result<OpenedReplay> open_replay(const Caller& caller, PluginId receiver,
                                                 std::string_view recording,
                                                 std::uint64_t messages);

  [[nodiscard]] DaemonStatus status() const;
  [[nodiscard]] const Config& config() const;
  // What a caller with these groups (SO_PEERCRED's gid first) may do. [loop]
  [[nodiscard]] Role role_of(std::uint32_t uid, const std::vector<std::uint32_t>& gids) const;
  // A request that the permit table refused, for the audit log. [loop]
  void audit_denied(const Caller& caller, std::string_view method, std::string_view why);

private:
  struct Parts;
  explicit Manager(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

} // namespace mohhos::manager
