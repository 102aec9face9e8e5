// The broker's plans, executed: memories made and given into custody, records sent with their
// descriptors, what is over forgotten.
#include <array>

#include <spdlog/spdlog.h>

#include "base/check.hpp"
#include "manager/parts.hpp"

namespace mohhos::manager {
namespace {

using warden::KeepKind;

// Lines of the audit log for what one endpoint does.
constexpr double kReportsPerSecond = 1;
constexpr double kReportsSaved = 16;

} // namespace

// A program's request would wait in the ring of a plugin that is not started, and look like a
// plugin that does not answer. (Among plugins the order of starting is free: there it may wait.)
Result<> Manager::Parts::may_call(PluginId asker, const ipc::OpenChannel& request) const {
  if (find(asker) != nullptr) return {};
  const registry::Entry* entry = request.target_id != 0 ? registry.find(PluginId{request.target_id})
                                                        : registry.find(request.target_name);
  const Plugin* target = entry == nullptr ? nullptr : find(entry->id);
  if (target == nullptr) return {};
  // While it is begun again, what is sent waits in its ring.
  const model::State state = target->restarting ? target->restarting->goal : target->info.state;
  if (state == model::State::Running || state == model::State::Suspended) return {};
  return fail(Code::NotRunning, "{} is {}; start it first (plugctl start {})", entry->metadata.name,
              model::state_name(target->info.state), entry->metadata.name);
}

// The endpoints' requests that are the broker's. True: it was one.
bool Manager::Parts::serve_broker(PluginId id, const ipc::LinkRecord& record) {
  switch (record.type()) {
  case ipc::LinkType::OpenChannel: {
    const auto request = record.as<ipc::OpenChannel>();
    const auto callable = may_call(id, request);
    if (callable)
      execute(broker.open(id, request));
    else if (LinkPort* port = port_of(id); port != nullptr) {
      ipc::ChannelRefused refused;
      refused.header.sequence = request.header.sequence;
      refused.code = static_cast<std::int32_t>(callable.error().code);
      put_text(refused.text, callable.error().text);
      port->send(refused);
    }
    return true;
  }
  case ipc::LinkType::OpenGroup:
    execute(broker.open_group(id, record.as<ipc::OpenGroup>()));
    return true;
  case ipc::LinkType::Subscribe:
    execute(broker.subscribe(id, record.as<ipc::Subscribe>()));
    return true;
  case ipc::LinkType::Sync: on_sync(id, record.as<ipc::Sync>()); return true;
  case ipc::LinkType::Waiting: execute(broker.waiting(id, record.as<ipc::Waiting>())); return true;
  case ipc::LinkType::CloseChannel: {
    const auto close = record.as<ipc::CloseChannel>();
    if (close.reason == ipc::CloseReason::Broken) note_broken(id, close);
    execute(broker.close(id, close));
    return true;
  }
  default: return serve_memories(id, record);
  }
}

bool Manager::Parts::may_report(PluginId by) {
  const auto [budget, is_new] =
      report_budgets.try_emplace(by, kReportsPerSecond, kReportsSaved, loop.now());
  return budget->second.take(loop.now());
}

// What an endpoint says of a channel of its own, and no more often than the log can bear.
void Manager::Parts::note_broken(PluginId by, const ipc::CloseChannel& close) {
  const auto channel = broker.find({close.channel_id});
  if (!channel || (channel->sender != by.value && channel->receiver != by.value)) return;
  if (!may_report(by)) return;
  audit.append("broken-channel", {{"channel", close.channel_id},
                                  {"by", by.value},
                                  {"sender", channel->sender},
                                  {"receiver", channel->receiver},
                                  {"text", std::string_view(close.text)}});
}

Result<> Manager::Parts::make_channel(const ipc::ChannelRecord& record) {
  TRY(ipc::ChannelMemory memory, ipc::make_channel_memory(record.ring_bytes, record.lap));
  const ChannelId id{record.channel};
  // In the receiver's name: the messages are the receiver's, and outlive the sender.
  channel_owner[id] = {record.receiver};
  channels.insert_or_assign(id, std::move(memory));
  auto kept = keep_channel(id);
  if (!kept) forget_channel(id);
  return kept;
}

Result<> Manager::Parts::keep_channel(ChannelId id) {
  const ipc::ChannelMemory& memory = channels.at(id);
  const std::array fds = {memory.data.get(), memory.control.get(), memory.data_bell.get(),
                          memory.space_bell.get()};
  for (std::size_t i = 0; i < fds.size(); ++i)
    TRY(keep(channel_owner.at(id), kChannelKinds[i], id.value, fds[i]));
  return {};
}

void Manager::Parts::execute(const ipc::Plan& plan) {
  for (const ipc::ChannelRecord& record : plan.make) {
    if (auto made = make_channel(record); !made) {
      spdlog::error("channel {} cannot be made: {}", record.channel, made.error().text);
      execute(broker.undo({record.channel}, made.error()));
    }
  }
  // Before anybody is told: what an endpoint knows of, our successor must know of.
  if (plan.changed) save_manager();
  for (const ipc::Delivery& delivery : plan.deliveries) {
    tap_as_wished(delivery);
    deliver(delivery);
  }
  for (const ChannelId id : plan.drop) forget_channel(id);
  sweep_memories();
}

void Manager::Parts::deliver(const ipc::Delivery& delivery) {
  LinkPort* port = port_of(delivery.to);
  if (port == nullptr) return;
  // Opened and closed, over and over, beside a peer that is frozen: its queue must not grow by it.
  if (const auto* closed = std::get_if<ipc::ChannelClosed>(&delivery.record);
      closed != nullptr && closed->reason != ipc::CloseReason::PeerRestarted &&
      memories.passages({closed->channel_id}).empty() && port->take_back(closed->channel_id))
    return;
  if (!delivery.fds_of)
    return std::visit([&](const auto& record) { port->send(record); }, delivery.record);
  const auto memory = channels.find(delivery.fds_of);
  if (memory == channels.end()) return; // could not be made; the asker was told
  const auto* opened = std::get_if<ipc::ChannelOpened>(&delivery.record);
  CHECK(opened != nullptr);
  if (opened->role == ipc::Role::Receive) deliver_memories(delivery.fds_of);
  // An application has no filter of ours.
  const auto holder = find(delivery.to) != nullptr ? ipc::Holder::Confined : ipc::Holder::Stranger;
  auto made = opened->role == ipc::Role::Send ? ipc::make_sender_end(memory->second, holder)
                                              : ipc::make_receiver_end(memory->second, holder);
  if (!made) return put_off(delivery, made.error());
  std::vector<sys::Fd> fds;
  for (sys::Fd* const fd : {&made->data, &made->control, &made->data_bell, &made->space_bell})
    fds.push_back(std::move(*fd));
  port->send(*opened, std::move(fds),
             [this, delivery](const Error& why) { put_off(delivery, why); });
}

// There are no descriptors for it just now. Who waits for an answer gets this one, and may ask
// again; besides, it is tried again, for a receiver has nobody to ask.
void Manager::Parts::put_off(ipc::Delivery delivery, const Error& why) {
  auto& opened = std::get<ipc::ChannelOpened>(delivery.record);
  spdlog::error("channel {} waits: {}", opened.channel_id, why.text);
  if (opened.header.sequence != 0)
    deliver(ipc::refusal(
        delivery.to, opened.header.sequence,
        {Code::Exhausted, fmt::format("mohhosd has no descriptors to spare just now; try again "
                                      "({})",
                                      why.text)}));
  opened.header.sequence = 0;
  put_off_deliveries.push_back(delivery);
}

void Manager::Parts::deliver_put_off() {
  for (const ipc::Delivery& delivery : std::exchange(put_off_deliveries, {})) {
    const auto channel = broker.find(delivery.fds_of);
    const bool still =
        channel && (channel->sender == delivery.to.value || channel->receiver == delivery.to.value);
    if (still) deliver(delivery);
  }
}

void Manager::Parts::forget_channel(ChannelId id) {
  if (journal) journal->ended(id);
  channels.erase(id);
  const auto owner = channel_owner.find(id);
  if (owner == channel_owner.end()) return;
  for (const KeepKind kind : kChannelKinds)
    warden->send(warden::Forget{.plugin_id = owner->second.value, .key = id.value, .kind = kind});
  channel_owner.erase(owner);
}

LinkPort* Manager::Parts::port_of(PluginId id) {
  if (Plugin* plugin = find(id)) return plugin->link.get();
  const auto found = endpoints.find(id);
  return found == endpoints.end() ? nullptr : found->second.link.get();
}

ipc::Party Manager::Parts::party_of(const Plugin& plugin) const {
  return {.id = plugin.info.id,
          .name = plugin.info.metadata.name,
          .type = plugin.info.metadata.type,
          .generation = plugin.info.generation,
          .capabilities = plugin.info.grant.capabilities,
          .acl = plugin.info.grant.acl,
          .events = plugin.info.metadata.events,
          .ring_bytes = plugin.info.metadata.channels.ring.count,
          .delivers_to = {}};
}

ipc::Party Manager::Parts::party_of(const Endpoint& endpoint) const {
  // Who may open an endpoint at all is the permit table's; a program has no manifest that could ask
  // for less.
  return {.id = endpoint.id,
          .name = endpoint.name,
          .type = std::nullopt,
          .generation = {1},
          .capabilities = model::kAllCapabilities,
          .acl = {},
          .events = std::nullopt,
          .ring_bytes = 0,
          .delivers_to = endpoint.delivers_to};
}

} // namespace mohhos::manager
