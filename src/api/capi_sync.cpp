// mohhos/ipc.h: waiting for the disk, outside the lock, as for the answer of a request.
//
// What a sync promises is about all that the program ever sent there. Of what it sent on a
// connection that has ended nobody can say any more whether it is on disk: the next sync must not
// find nothing to do and call that success.
#include "api/capi_endpoint.hpp"

namespace mohhos::api::capi {
namespace {

struct Begun {
  std::uint64_t id = 0;       // of Connection::asked
  std::uint64_t messages = 0; // that it is about
};

// Told once. `data` is held.
Result<> check_not_lost(Connection& one, PluginId target) {
  const auto durable = one.durable.find(target);
  if (durable == one.durable.end() || !durable->second.lost) return {};
  one.durable.erase(durable);
  return fail(Code::Unreachable,
              "the connection to the daemon ended before all that was sent to plugin {} was on "
              "disk: send again what was sent since the last sync",
              target.value);
}

Result<Begun> begin(Connection& one, ipc::Endpoint& endpoint, PluginId target, Monotonic deadline) {
  TRY(const ChannelId channel, endpoint.open_channel(target, deadline));
  const Begun begun{UINT64_MAX - ++one.last_sync, one.durable[target].unsynced};
  one.asked[begun.id] = {
      .endpoint = one.endpoint, .peer = target, .end = {}, .waited_for = false, .bell = {}};
  const auto asked = endpoint.sync_later(channel, deadline, [id = begun.id](const Result<>& end) {
    keep_end(id, [&]() -> Result<ipc::Answer> {
      TRY(end);
      return ipc::Answer{};
    });
  });
  if (!asked) one.asked.erase(begun.id);
  TRY(asked);
  return begun;
}

void note_synced(PluginId target, std::uint64_t messages) {
  Connection& one = connection();
  const std::scoped_lock lock(one.data);
  const auto durable = one.durable.find(target);
  if (durable == one.durable.end()) return;
  durable->second.unsynced -= std::min(durable->second.unsynced, messages);
  if (durable->second.unsynced == 0 && !durable->second.lost) one.durable.erase(durable);
}

void forget(std::uint64_t id) {
  Connection& one = connection();
  const std::scoped_lock lock(one.data);
  one.asked.erase(id);
}

Result<> sync(PluginId target, Monotonic deadline) {
  Result<> known{};
  TRY(const Begun begun,
      with_endpoint([&](Connection& one, ipc::Endpoint& endpoint) -> Result<Begun> {
        known = check_not_lost(one, target);
        if (!known) return Begun{};
        return begin(one, endpoint, target, deadline);
      }));
  TRY(known);
  const auto result = wait_for_end(begun.id, nullptr, nullptr, deadline);
  if (result && *result == 0) {
    note_synced(target, begun.messages);
    return {};
  }
  if (result) {
    forget(begun.id);
    return fail(Code::TimedOut, "the daemon did not say in time that it is on disk");
  }
  if (result.error().code != Code::Unreachable && result.error().code != Code::NotFound)
    return std::unexpected(result.error());
  // NotFound: another thread disconnected.
  Connection& one = connection();
  const std::scoped_lock lock(one.data);
  TRY(check_not_lost(one, target));
  return fail(Code::Unreachable, "the connection to the daemon was closed");
}

} // namespace
} // namespace mohhos::api::capi

using namespace mohhos;
using namespace mohhos::api::capi;

int plugin_sync(plugin_id_t target, uint32_t timeout_ms) {
  return guarded([&]() -> Result<> {
    if (target == 0) return fail(Code::Invalid, "0 is no plugin's id");
    return sync(PluginId{target}, from_now(std::chrono::milliseconds(timeout_ms)));
  });
}
