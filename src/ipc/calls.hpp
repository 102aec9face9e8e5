// The requests that wait for an answer: by number, by deadline. A table, no I/O.
//
// Numbers begin at the time of the process's start, so that an answer to a process before
// us, still in a ring that outlived it, matches none of ours.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/ids.hpp"
#include "base/units.hpp"
#include "ipc/message.hpp"

namespace mohhos::ipc {

template <class Callback>
class Calls {
public:
  explicit Calls(std::uint64_t first) : next_(first) {}

  struct Pending {
    PluginId peer;
    ChannelId channel;
    Priority priority{};
    Monotonic deadline;
    Callback callback;
  };

  [[nodiscard]] std::uint64_t add(PluginId peer, ChannelId channel, Priority priority,
                                  Monotonic deadline, Callback callback) {
    const std::uint64_t number = next_++;
    pending_.emplace(number, Pending{peer, channel, priority, deadline, std::move(callback)});
    if (deadline < next_deadline_) next_deadline_ = deadline;
    return number;
  }

  // Whose answer this is; nothing if nobody waits for it, or waits for it from somebody else.
  [[nodiscard]] std::optional<Callback> take(std::uint64_t number, PluginId from) {
    const auto found = pending_.find(number);
    if (found == pending_.end() || found->second.peer != from) return std::nullopt;
    Callback callback = std::move(found->second.callback);
    pending_.erase(found);
    return callback;
  }
  [[nodiscard]] std::optional<Pending> take(std::uint64_t number) {
    auto found = pending_.extract(number);
    if (!found) return std::nullopt;
    return std::move(found.mapped());
  }
  void forget(std::uint64_t number) { pending_.erase(number); }

  [[nodiscard]] std::vector<Callback> take_of(PluginId peer) {
    return take_if([&](const Pending& call) { return call.peer == peer; });
  }
  [[nodiscard]] std::vector<Callback> take_expired(Monotonic now) {
    if (now < next_deadline_) return {};
    auto expired = take_if([&](const Pending& call) { return call.deadline <= now; });
    next_deadline_ = Monotonic::max();
    for (const auto& [number, call] : pending_)
      next_deadline_ = std::min(next_deadline_, call.deadline);
    return expired;
  }
  // At this time or later the next one expires. [pure]
  [[nodiscard]] Monotonic next_deadline() const {
    return pending_.empty() ? Monotonic::max() : next_deadline_;
  }
  [[nodiscard]] bool empty() const { return pending_.empty(); }

private:
  template <class Condition>
  std::vector<Callback> take_if(Condition condition) {
    std::vector<Callback> taken;
    for (auto call = pending_.begin(); call != pending_.end();) {
      if (!condition(call->second)) {
        ++call;
        continue;
      }
      taken.push_back(std::move(call->second.callback));
      call = pending_.erase(call);
    }
    return taken;
  }

  std::unordered_map<std::uint64_t, Pending> pending_;
  std::uint64_t next_;
  Monotonic next_deadline_ = Monotonic::max();
};

} // namespace mohhos::ipc
