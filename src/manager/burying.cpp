// What a plugin that died had in hand, and what nobody will read any more, goes to the dead
// letters. Which messages those are is decided here; reading and writing them is for the letters'
// thread (letter_keeper.hpp), so that a slow disk holds up nobody but the plugin itself: it is not
// begun again, and its rings are not forgotten, before that is done.
#include <algorithm>

#include <spdlog/spdlog.h>

#include "manager/parts.hpp"

namespace mohhos::manager {
namespace {

// What is overwritten while it is read is not kept: who publishes so has said that it may be
// missed.
bool is_lossy(ipc::Lane lane) {
  return lane == ipc::Lane::Lossy || lane == ipc::Lane::Tap;
}

} // namespace

std::optional<ipc::Remains> Manager::Parts::remains_of(const ipc::ChannelRecord& channel) const {
  const auto memory = channels.find({channel.channel});
  if (memory == channels.end()) return std::nullopt;
  return ipc::Remains(memory->second.data.get(), memory->second.control.get(), channel.ring_bytes);
}

std::string Manager::Parts::name_of(PluginId id) const {
  if (const Plugin* plugin = find(id)) return plugin->info.metadata.name;
  const auto endpoint = endpoints.find(id);
  return endpoint == endpoints.end() ? fmt::to_string(id.value) : endpoint->second.name;
}

std::optional<LeftRing> Manager::Parts::left_ring(const Plugin& plugin,
                                                  const ipc::ChannelRecord& channel) const {
  const auto memory = channels.find({channel.channel});
  if (memory == channels.end()) return std::nullopt;
  auto data = memory->second.data.duplicate();
  auto control = memory->second.control.duplicate();
  if (!data || !control) {
    spdlog::error("what {} left in channel {} cannot be read: {}", plugin.info.metadata.name,
                  channel.channel, (data ? control : data).error().text);
    return std::nullopt;
  }
  LeftRing ring{.head = {},
                .data = *std::move(data),
                .control = *std::move(control),
                .ring_bytes = channel.ring_bytes};
  ring.head.to = plugin.info.metadata.name;
  ring.head.from = name_of({channel.sender});
  ring.head.to_id = plugin.info.id;
  ring.head.from_id = {channel.sender};
  ring.head.to_generation = plugin.info.generation;
  ring.head.buried_us = wall_clock_us();
  ring.head.epoch = started_us;
  ring.head.channel = {channel.channel};
  if (journal) ring.durable_before = journal->synced_before({channel.channel});
  return ring;
}

// Before it is begun again: what did it die of?
void Manager::Parts::examine_rings(Plugin& plugin) {
  std::vector<ipc::Suspect> suspects;
  for (const ipc::ChannelRecord& channel : broker.channels()) {
    if (channel.receiver != plugin.info.id.value || is_lossy(channel.lane)) continue;
    const auto remains = remains_of(channel);
    if (!remains) continue;
    const auto progress = remains->progress();
    if (!progress) {
      spdlog::warn("channel {} as {} left it: {}", channel.channel, plugin.info.metadata.name,
                   progress.error().text);
      continue; // its successor ends it
    }
    const auto suspect = ipc::suspect_after(*progress, {channel.channel}, plugin.suspects);
    if (suspect) suspects.push_back(*suspect);
  }
  plugin.suspects = std::move(suspects);
}

// Those that have killed too often. They are suspects until they are buried, so that the manager
// after us does it if we cannot.
void Manager::Parts::bury_suspects(Plugin& plugin) {
  const PluginId id = plugin.info.id;
  for (const ipc::Suspect& suspect : plugin.suspects) {
    if (suspect.deaths < plugin.info.metadata.restart.dead_letter_after) continue;
    const auto channel = broker.find({suspect.channel});
    auto ring = channel ? left_ring(plugin, *channel) : std::nullopt;
    if (!ring) continue;
    ring->head.deaths = suspect.deaths;
    ring->head.reason = fmt::format("{} processes died while they had it", suspect.deaths);
    ++plugin.burials;
    letters->bury(*std::move(ring), suspect.position,
                  [this, id, suspect](const Result<std::optional<LetterHead>>& letter) {
                    on_buried(id, suspect, letter);
                  });
  }
}

void Manager::Parts::on_buried(PluginId id, const ipc::Suspect& suspect,
                               const Result<std::optional<LetterHead>>& letter) {
  Plugin* plugin = find(id);
  if (plugin == nullptr) return;
  const std::string& name = plugin->info.metadata.name;
  if (!letter) {
    note_letters_refused(*plugin, 1, letter.error().text);
  } else if (!*letter) { // its successor finds the same, and ends the channel
    spdlog::warn("{} died of what is no message (channel {})", name, suspect.channel);
  } else {
    const LetterHead& head = **letter;
    std::erase(plugin->suspects, suspect);
    if (plugin->info.state != model::State::Unloaded) save(*plugin);
    spdlog::warn("{} died {} times of a message of {}: it is dead letter {} now", name,
                 suspect.deaths, head.from, head.id);
    audit.append("dead-letter", {{"plugin", std::string_view(name)},
                                 {"id", id.value},
                                 {"letter", head.id},
                                 {"from", std::string_view(head.from)},
                                 {"channel", suspect.channel},
                                 {"deaths", std::uint64_t{suspect.deaths}}});
  }
  --plugin->burials;
  if (plugin->restarting && plugin->restarting->due) restart_now(id);
}

void Manager::Parts::note_letters_refused(const Plugin& plugin, std::uint64_t count,
                                          std::string_view why) {
  const std::string& name = plugin.info.metadata.name;
  spdlog::error("{}: {} messages cannot be buried: {}", name, count, why);
  audit.append("dead-letters-refused", {{"plugin", std::string_view(name)},
                                        {"id", plugin.info.id.value},
                                        {"count", count},
                                        {"text", why}});
}

// It ends for good, and its rings with it.
void Manager::Parts::bury_unread(const Plugin& plugin, std::string_view reason,
                                 std::function<void()> then) {
  std::vector<LeftRing> rings;
  for (const ipc::ChannelRecord& channel : broker.channels()) {
    if (channel.receiver != plugin.info.id.value || is_lossy(channel.lane)) continue;
    auto ring = left_ring(plugin, channel);
    if (!ring) continue;
    ring->head.reason = reason;
    rings.push_back(*std::move(ring));
  }
  if (rings.empty()) return then();
  letters->bury_unread(std::move(rings), [this, id = plugin.info.id, reason = std::string(reason),
                                          then = std::move(then)](const UnreadBuried& done) {
    const Plugin* left = find(id);
    if (left != nullptr && (done.kept != 0 || done.lost != 0)) {
      const std::string& name = left->info.metadata.name;
      spdlog::warn("{}: {} unread messages are dead letters now", name, done.kept);
      audit.append("unread-buried", {{"plugin", std::string_view(name)},
                                     {"id", id.value},
                                     {"count", done.kept},
                                     {"reason", std::string_view(reason)}});
      if (done.lost != 0) note_letters_refused(*left, done.lost, done.why);
    }
    then();
  });
}

void Manager::Parts::retry_letter(const Caller& caller, std::uint64_t id,
                                  Reply<LetterRetry> reply) {
  letters->read(id, [this, caller, id, reply = std::move(reply)](Result<DeadLetter> letter) {
    const auto begin = [&]() -> Result<LetterRetry> {
      TRY(const DeadLetter found, std::move(letter));
      const LetterHead& head = found.head;
      if (registry.find(head.to) == nullptr) return std::unexpected(unknown({}, head.to));
      TRY(auto endpoint, open_endpoint(caller, head.from, head.to));
      return LetterRetry{head, std::move(endpoint)};
    };
    auto retry = begin();
    audit_letter("dead-letter-retry", caller, id, retry.has_value());
    reply(std::move(retry));
  });
}

void Manager::Parts::audit_letter(std::string_view event, const Caller& caller, std::uint64_t id,
                                  bool accepted) {
  audit.append(event, {{"letter", id},
                       {"uid", std::uint64_t{caller.uid}},
                       {"pid", std::int64_t{caller.pid}},
                       {"accepted", accepted}});
}

} // namespace mohhos::manager
