// Durable messages, the loop's side: who may ask for them, and what a plugin finds of them when it
// is loaded.
//
// What the journal has for a receiver, and no ring holds any more, is put into new rings before
// anybody can open a channel to it: so the old messages come first. The rings belong to senders of
// the old names. One that is loaded (or is loaded later) gets its ring and goes on behind what is
// there; in place of one that cannot come any more stands nobody.
#include <array>

#include <spdlog/spdlog.h>

#include "manager/parts.hpp"
#include "monitor/logs.hpp"

namespace mohhos::manager {
namespace {

// Two channels of one lane from one name: the second one's sender has been replaced meanwhile.
bool is_taken(const Result<ipc::ChannelRecord>& record) {
  return !record && record.error().code == Code::Exists;
}

} // namespace

void Manager::Parts::open_journal() {
  if (!setup.config.journal) return;
  Journal::Settings settings{.directory = setup.paths.state / "journal",
                             .limits = {.per_log = setup.config.journal_channel_bytes.count,
                                        .in_all = setup.config.journal_bytes.count},
                             .life = life};
  auto opened = Journal::open(
      loop, std::move(settings),
      [this](const std::vector<LogInfo>& logs) { attach_known_rings(logs); },
      [this](const std::string& text) {
        spdlog::warn("the journal: {}", text);
        audit.append("journal", {{"text", std::string_view(text)}});
      });
  if (opened)
    journal = std::move(*opened);
  else
    spdlog::error("durable messages are not possible: {}", opened.error().text);
}

Result<LogInfo> Manager::Parts::may_sync(PluginId id, ChannelId channel) const {
  const auto record = broker.find(channel);
  if (!record || record->sender != id.value)
    return fail(Code::NotFound, "channel {} is not one that you send on", channel.value);
  if (!ipc::is_priority(record->lane))
    return fail(Code::Invalid, "only messages with a priority can be durable");
  const Plugin* const plugin = find(id);
  if (plugin != nullptr && !plugin->info.metadata.channels.durable)
    return fail(Code::Denied,
                "{} may not have messages on disk: add durable = true under [channels] in its "
                "plugin.toml",
                plugin->info.metadata.name);
  if (!setup.config.journal)
    return fail(Code::Denied, "durable messages are switched off: [journal] enabled is false");
  if (!journal)
    return fail(Code::Failed, "the journal could not be opened; mohhosd's log says why");
  if (find(PluginId{record->receiver}) == nullptr)
    return fail(Code::Denied, "what is sent to a program ends with it, and is not kept on disk");
  return log_info(*record);
}

LogInfo Manager::Parts::log_info(const ipc::ChannelRecord& channel) const {
  LogInfo info{.life = life,
               .channel = channel.channel,
               .ring_bytes = channel.ring_bytes,
               .lane = channel.lane};
  if (const Plugin* sender = find(PluginId{channel.sender})) {
    info.sender = sender->info.metadata.name;
    info.sender_type = static_cast<std::uint32_t>(sender->info.metadata.type);
  } else if (const auto endpoint = endpoints.find(PluginId{channel.sender});
             endpoint != endpoints.end()) {
    info.sender = endpoint->second.name;
  }
  if (const Plugin* receiver = find(PluginId{channel.receiver}))
    info.receiver = receiver->info.metadata.name;
  return info;
}

Result<JournaledRing> Manager::Parts::journaled(LogInfo info) const {
  const auto memory = channels.find(ChannelId{info.channel});
  if (memory == channels.end())
    return fail(Code::PeerGone, "channel {} has no memory", info.channel);
  JournaledRing ring{.info = std::move(info), .data = {}, .control = {}};
  TRY(ring.data, memory->second.data.duplicate());
  TRY(ring.control, memory->second.control.duplicate());
  return ring;
}

void Manager::Parts::attach_known_rings(const std::vector<LogInfo>& logs) {
  for (const LogInfo& log : logs) {
    const ChannelId channel{log.channel};
    if (journal->knows(channel) || !broker.find(channel)) continue;
    if (auto ring = journaled(log)) journal->attach(std::move(*ring));
  }
}

void Manager::Parts::on_sync(PluginId id, const ipc::Sync& request) {
  const ChannelId channel{request.channel_id};
  const auto answer = [this, id, request](const Result<>& result) {
    LinkPort* const port = port_of(id);
    if (port == nullptr) return;
    if (result) {
      ipc::Synced synced;
      synced.header.sequence = request.header.sequence;
      synced.channel_id = request.channel_id;
      synced.upto = request.upto;
      return port->send(synced);
    }
    ipc::ChannelRefused refused;
    refused.header.sequence = request.header.sequence;
    refused.code = static_cast<std::int32_t>(result.error().code);
    put_text(refused.text, result.error().text);
    port->send(refused);
  };
  auto info = may_sync(id, channel);
  if (!info) return answer(std::unexpected(info.error()));
  if (!journal->knows(channel)) {
    auto ring = journaled(std::move(*info));
    if (!ring) return answer(std::unexpected(ring.error()));
    journal->attach(std::move(*ring));
  }
  journal->sync(channel, request.upto, answer);
}

// --- when a receiver is loaded ---

Result<ipc::ChannelRecord> Manager::Parts::restored_channel(const Leftovers& leftovers,
                                                            const Plugin& receiver) {
  const ipc::Party to = party_of(receiver);
  ipc::StandIn sender{.id = {}, .name = leftovers.sender, .type = {}, .waits = false};
  const bool is_plugin = leftovers.sender_type < model::kPluginTypes.size();
  if (is_plugin) sender.type = model::kPluginTypes[leftovers.sender_type];
  ipc::Plan plan;
  Result<ipc::ChannelRecord> made = fail(Code::Exists, "");
  if (is_plugin) {
    const registry::Entry* const loaded = registry.find(leftovers.sender);
    sender.waits = loaded == nullptr;
    sender.id = loaded != nullptr ? loaded->id
                                  : broker.waits_for(leftovers.sender).value_or(PluginId{next_id});
    made = broker.restore_channel(sender, to, leftovers.lane, leftovers.ring_bytes, plan);
  }
  if (is_taken(made)) { // a program's, or of a plugin that has been replaced since
    sender.id = {next_id};
    sender.waits = false;
    made = broker.restore_channel(sender, to, leftovers.lane, leftovers.ring_bytes, plan);
  }
  if (made && sender.id.value == next_id) ++next_id;
  execute(plan);
  return made;
}

void Manager::Parts::restore_messages(const Plugin& plugin, std::function<void()> then) {
  if (!journal) return then();
  const PluginId id = plugin.info.id;
  std::set<std::uint64_t> open;
  for (const ipc::ChannelRecord& channel : broker.channels())
    if (channel.receiver == id.value) open.insert(channel.channel);
  journal->find_leftovers(plugin.info.metadata.name, std::move(open),
                          [this, id, generation = plugin.info.generation,
                           then = std::move(then)](const std::vector<Leftovers>& found) {
                            const Plugin* const receiver = find(id);
                            if (receiver == nullptr ||
                                receiver->info.state != model::State::Loading ||
                                receiver->info.generation != generation)
                              return;
                            const auto rest = std::make_shared<std::size_t>(found.size() + 1);
                            const auto one_less = [rest, then] {
                              if (--*rest == 0) then();
                            };
                            for (const Leftovers& group : found)
                              restore_group(group, *receiver, one_less);
                            one_less();
                          });
}

void Manager::Parts::restore_group(const Leftovers& leftovers, const Plugin& receiver,
                                   const std::function<void()>& then) {
  const std::string what = fmt::format("{} messages from {} to {}", leftovers.messages,
                                       leftovers.sender, leftovers.receiver);
  const auto stay = [&](const Error& why) {
    spdlog::warn("{} stay in the journal: {}", what, why.text);
    then();
  };
  auto channel = restored_channel(leftovers, receiver);
  if (!channel) return stay(channel.error());
  LogInfo info = log_info(*channel);
  info.sender = leftovers.sender;
  info.sender_type = leftovers.sender_type;
  auto ring = journaled(std::move(info));
  if (!ring) return stay(ring.error());
  journal->restore(
      leftovers, std::move(*ring),
      [this, what, then, id = channel->channel](const Result<std::uint64_t>& count) {
        if (count) {
          spdlog::info("{} are delivered again", what);
          audit.append("redelivered",
                       {{"channel", id}, {"messages", *count}, {"text", std::string_view(what)}});
        } else {
          spdlog::error("{} stay in the journal: {}", what, count.error().text);
          execute(broker.end({id}));
        }
        then();
      });
}

} // namespace mohhos::manager
