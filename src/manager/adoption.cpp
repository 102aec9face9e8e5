// What the manager before us left: the warden hands over all that it kept and every process that
// lives, and from that the plugins are put together again, with their pids, links, rings and
// states. Nothing of it is read before it has been checked: a manager that was taken over could
// have left it.
#include <algorithm>

#include <sodium/randombytes.h>
#include <spdlog/spdlog.h>

#include "manager/parts.hpp"
#include "sandbox/explain.hpp"
#include "sys/mapping.hpp"
#include "sys/memfd.hpp"

namespace mohhos::manager {
namespace {

using warden::KeepKind;
using State = model::State;

std::string_view doing_of(ipc::Operation operation) {
  switch (operation) {
  case ipc::Operation::Init: return "on_init";
  case ipc::Operation::Start: return "on_start";
  case ipc::Operation::Stop: return "on_stop";
  case ipc::Operation::Unload: return "on_unload";
  case ipc::Operation::Configure: break;
  }
  return "on_config";
}

lifecycle::Event request_of(ipc::Operation operation) {
  switch (operation) {
  case ipc::Operation::Start: return lifecycle::Event::Start;
  case ipc::Operation::Stop: return lifecycle::Event::Stop;
  case ipc::Operation::Unload: return lifecycle::Event::Unload;
  default: return lifecycle::Event::Load;
  }
}

sys::Fd take_kept(Inheritance& heir, KeepKind kind, std::uint64_t key = 0) {
  const auto found = heir.kept.find({kind, key});
  return found == heir.kept.end() ? sys::Fd() : std::move(found->second);
}

} // namespace

Result<> Manager::Parts::keep(PluginId id, KeepKind kind, std::uint64_t key, int fd) {
  const auto on_answer = [id](const Result<>& kept) {
    if (!kept)
      spdlog::error("the warden does not keep what belongs to {}: {}", id.value, kept.error().text);
  };
  const auto on_not_sent = [this, id, kind, key](const Error& why) {
    spdlog::error("the warden was not given what belongs to {}: {}", id.value, why.text);
    if (kind == KeepKind::Record) unsaved.insert(id);
    if (std::ranges::find(kChannelKinds, kind) != kChannelKinds.end()) unkept.insert({key});
  };
  return warden->send(warden::Keep{.plugin_id = id.value, .key = key, .kind = kind},
                      std::span(&fd, 1), on_answer, on_not_sent);
}

void Manager::Parts::keep_record(PluginId id, std::string_view record) {
  const auto memory = sys::make_sealed("record", std::as_bytes(std::span(record)));
  const auto kept = memory ? keep(id, KeepKind::Record, 0, memory->get())
                           : Result<>(std::unexpected(memory.error()));
  if (kept) return;
  spdlog::error("the record of {} waits: {}", id ? name_of(id) : "the manager", kept.error().text);
  unsaved.insert(id);
}

// What the warden was not given by then.
void Manager::Parts::save_unsaved() {
  if (unkept.empty() && unsaved.empty()) return;
  spdlog::info("the warden is given it again: {} channels, {} records", unkept.size(),
               unsaved.size());
  for (const ChannelId channel : std::exchange(unkept, {}))
    if (channels.contains(channel) && !keep_channel(channel)) unkept.insert(channel);
  for (const PluginId id : std::exchange(unsaved, {})) {
    Plugin* const plugin = find(id);
    if (!id)
      save_manager();
    else if (plugin != nullptr && plugin->info.state != State::Unloaded)
      save(*plugin);
  }
}

void Manager::Parts::save(Plugin& plugin) {
  SavedPlugin saved{
      .info = plugin.info, .signature = plugin.signature, .manifest = plugin.manifest};
  if (plugin.pending) saved.pending = plugin.pending->operation;
  saved.sequence = plugin.sequence;
  saved.attempts = plugin.attempts.entries();
  saved.attempts_lost = plugin.attempts.lost();
  saved.restart.history = plugin.restarts;
  saved.restart.fell_from = plugin.fell_from;
  saved.restart.suspects = plugin.suspects;
  if (plugin.restarting) {
    saved.restart.under_way = true;
    saved.restart.waiting = plugin.restarting->waiting;
    saved.restart.goal = plugin.restarting->goal;
    saved.restart.cause = plugin.restarting->cause;
  }
  plugin.saved_attempts = plugin.attempts.revision();
  keep_record(plugin.info.id, serialize(saved));
}

void Manager::Parts::save_manager() {
  SavedManager saved{.next_id = next_id,
                     .started_us = started_us,
                     .life = life,
                     .broker = broker.save(),
                     .endpoints = {},
                     .taps = tap_wishes,
                     .memories = memories.save()};
  for (const auto& [id, endpoint] : endpoints)
    saved.endpoints.push_back({id, endpoint.name, endpoint.uid, endpoint.delivers_to});
  keep_record({}, serialize(saved));
}

void Manager::Parts::on_hello(const warden::Hello& said, sys::Fd control) {
  hello = said;
  listening = std::move(control);
}

void Manager::Parts::on_kept(const warden::Kept& kept, sys::Fd fd) {
  inheritance[{kept.plugin_id}].kept[{kept.kind, kept.key}] = std::move(fd);
}

void Manager::Parts::on_hello_end() {
  if (ready) return;
  adopt_channels();
  adopt_manager(inheritance[{}]);
  std::vector<std::pair<PluginId, warden::Exited>> ended;
  for (auto& [id, heir] : inheritance) {
    if (!id || endpoints.contains(id)) continue;
    if (auto adopted = adopt_plugin(id, heir); !adopted) {
      // Nobody can say what it was: it is ended, and Exited finds no plugin and releases it.
      spdlog::error("plugin {} cannot be taken over: {}", id.value, adopted.error().text);
      if (heir.running) {
        warden::Target target{.plugin_id = id.value, .generation = heir.running->generation};
        target.header.type = heir.exited ? warden::MessageType::Release : warden::MessageType::Kill;
        warden->send(target);
      }
      warden->send(warden::Forget{.plugin_id = id.value});
    } else if (heir.exited) {
      ended.emplace_back(id, *heir.exited);
    }
  }
  inheritance.clear();
  ready = true;
  open_journal();
  execute(broker.sweep());
  for (const auto& [id, plugin] : plugins) {
    if (plugin->restarting && plugin->info.state == State::Loading) {
      execute(broker.lost(id));
      if (plugin->restarting->waiting) bury_suspects(*plugin);
    }
  }
  for (const auto& [id, exited] : ended)
    if (Plugin* plugin = find(id)) on_exited(*plugin, &exited);
  for (const auto& [id, plugin] : plugins)
    if (plugin->info.state == State::Error && !plugin->process && broker.is_present(id))
      release(*plugin, false);
  save_manager();
  if (hello.restarts > 0)
    spdlog::info("took over {} plugins and {} endpoints", plugins.size(), endpoints.size());
  audit.append("manager", {{"restarts", std::uint64_t{hello.restarts}},
                           {"plugins", std::uint64_t{plugins.size()}}});
  warden->send(warden::Signal{
      .header = {.type = warden::MessageType::Ready, .size = sizeof(warden::Signal)}});
  on_ready(std::move(listening));
}

void Manager::Parts::adopt_channels() {
  for (auto& [owner, heir] : inheritance) {
    std::vector<std::uint64_t> keys;
    for (const auto& [name, fd] : heir.kept)
      if (name.first == KeepKind::RingData) keys.push_back(name.second);
    for (const std::uint64_t key : keys) {
      ipc::ChannelMemory memory{
          take_kept(heir, KeepKind::RingData, key), take_kept(heir, KeepKind::RingControl, key),
          take_kept(heir, KeepKind::DataBell, key), take_kept(heir, KeepKind::SpaceBell, key)};
      channel_owner[{key}] = owner;
      if (memory.data && memory.control && memory.data_bell && memory.space_bell)
        channels.insert_or_assign(ChannelId{key}, std::move(memory));
      else
        forget_channel({key}); // its making had been cut short; nobody was told of it
    }
  }
}

void Manager::Parts::adopt_manager(Inheritance& heir) {
  const sys::Fd record = take_kept(heir, KeepKind::Record);
  started_us = wall_clock_us();
  ::randombytes_buf(&life, sizeof life);
  for (const auto& [id, other] : inheritance) next_id = std::max(next_id, id.value + 1);
  if (!record) return; // the first manager
  const auto mapped = sys::map_sealed(record.get());
  auto saved = mapped ? parse_manager_record(mapped->bytes()) : std::unexpected(mapped.error());
  if (!saved)
    return spdlog::error("the record of the manager before this one: {}", saved.error().text);
  next_id = std::max(next_id, saved->next_id);
  started_us = saved->started_us;
  life = saved->life;
  if (auto restored = broker.restore(saved->broker); !restored)
    spdlog::error("the channels of the manager before this one: {}", restored.error().text);
  adopt_memories(heir, saved->memories);
  for (SavedEndpoint& endpoint : saved->endpoints) {
    const auto left = inheritance.find(endpoint.id);
    sys::Fd link = left == inheritance.end() ? sys::Fd() : take_kept(left->second, KeepKind::Link);
    if (!link) continue;
    Endpoint one{.id = endpoint.id,
                 .name = std::move(endpoint.name),
                 .uid = endpoint.uid,
                 .link = nullptr,
                 .delivers_to = std::move(endpoint.delivers_to)};
    const ipc::Party party = party_of(one);
    if (auto attached = attach_endpoint(std::move(one), std::move(link)); attached)
      execute(broker.join(party));
  }
  for (TapWish& wish : saved->taps)
    if (endpoints.contains(wish.recorder)) tap_wishes.push_back(std::move(wish));
}

Result<> Manager::Parts::adopt_plugin(PluginId id, Inheritance& heir) {
  const sys::Fd record = take_kept(heir, KeepKind::Record);
  if (!record) return fail(Code::NotFound, "there is no record of it");
  TRY(const sys::Mapping mapped, sys::map_sealed(record.get()));
  TRY(const SavedPlugin saved, parse_plugin_record(mapped.bytes()));
  if (saved.info.id != id)
    return fail(Code::Malformed, "its record is that of {}", saved.info.id.value);
  const bool error = saved.info.state == State::Error;
  const bool restarts = saved.restart.under_way && saved.info.metadata.restart.on_crash;
  // One that waits to be begun again has no process, or only what is left of the one before.
  const bool running = heir.running && !(restarts && saved.restart.waiting);
  if (!running && !error && !restarts)
    return fail(Code::PeerGone, "{} has no process any more", saved.info.metadata.name);
  if (registry.find(saved.info.metadata.name) != nullptr)
    return fail(Code::Exists, "there are two {}", saved.info.metadata.name);

  Plugin& plugin = recall(saved, take_kept(heir, KeepKind::Image));
  registry.insert({id, plugin.info.metadata, !error});
  if (restarts) adopt_restart(plugin, saved.restart, running);
  if (running) return adopt_process(plugin, saved, heir);
  // What it left may not have been put away: on_hello_end() goes on with that.
  if (error && plugin.info.metadata.restart.on_crash) execute(broker.join(party_of(plugin)));
  if (!heir.running) return {};
  warden::Target rest{.plugin_id = id.value, .generation = heir.running->generation};
  rest.header.type = warden::MessageType::Release;
  warden->send(rest);
  return {};
}

// A plugin as its record says, without its process.
Plugin& Manager::Parts::recall(const SavedPlugin& saved, sys::Fd image) {
  auto owned = std::make_unique<Plugin>();
  Plugin& plugin = *owned;
  plugin.info = saved.info;
  plugin.signature = saved.signature;
  plugin.manifest = saved.manifest;
  plugin.sequence = saved.sequence;
  plugin.adopted = true;
  if (plugin.info.metadata.restart.on_crash) plugin.image = std::move(image);
  plugin.restarts = saved.restart.history;
  plugin.fell_from = saved.restart.fell_from;
  plugin.suspects = saved.restart.suspects;
  std::vector<model::Refusal> attempts = saved.attempts;
  for (model::Refusal& attempt : attempts)
    sandbox::put_into_words(attempt, plugin.info.metadata.name, plugin.info.grant.capabilities);
  plugin.attempts = monitor::Attempts(std::move(attempts), saved.attempts_lost);
  plugins.emplace(plugin.info.id, std::move(owned));
  return plugin;
}

Result<> Manager::Parts::adopt_process(Plugin& plugin, const SavedPlugin& saved,
                                       Inheritance& heir) {
  const warden::Launched& launched = *heir.running;
  plugin.process = true;
  plugin.pidfd = std::move(heir.pidfd);
  plugin.info.pid = launched.pid;
  plugin.info.walls = launched.standing;
  plugin.info.level = model::level_of(launched.standing);
  plugin.sources = {launched.pid, launched.memory_cgroup, launched.cpu_cgroup};
  // Decided before it was ended: that is the cause, whatever is seen of its end.
  if (plugin.info.state == State::Error) plugin.death.decided = plugin.info.cause;
  // Dead, or about to be ended: what waits in its rings must not be swept away before it is known
  // whether it comes back.
  if (plugin.info.metadata.restart.on_crash && plugin.info.state != State::Loading)
    execute(broker.join(party_of(plugin)));
  sys::Fd link = take_kept(heir, KeepKind::Link);
  sys::Fd out = take_kept(heir, KeepKind::Stdout);
  sys::Fd err = take_kept(heir, KeepKind::Stderr);
  if (!link || !out || !err) {
    plugin.death.decided = "its link was lost when the manager was replaced";
    kill(plugin);
    return {};
  }
  TRY(attach(plugin, std::move(link), std::move(out), std::move(err)));
  if (!heir.exited) go_on(plugin, saved);
  return {};
}

// What had been begun is brought to its end, though nobody waits for it any more.
void Manager::Parts::go_on(Plugin& plugin, const SavedPlugin& saved) {
  const State state = plugin.info.state;
  if (state == State::Error) return kill(plugin);
  if (state == State::Unloading && saved.pending != ipc::Operation::Unload) return kill(plugin);
  if (state == State::Loading && saved.pending != ipc::Operation::Init) {
    plugin.pending = Pending{.request = lifecycle::Event::Load, .since = loop.now()};
    return ask_init(plugin);
  }
  warden::Target target{.plugin_id = plugin.info.id.value,
                        .generation = plugin.info.generation.value};
  if (state != State::Loading) { // else its Done is still to come, and settle() with it
    target.header.type = warden::MessageType::Settle;
    warden->send(target);
    execute(broker.join(party_of(plugin)));
  }
  // A freeze that was under way may have been carried out and not noted down.
  target.header.type =
      state == State::Suspended ? warden::MessageType::Freeze : warden::MessageType::Thaw;
  warden->send(target);
  if (saved.pending == ipc::Operation{}) {
    if (plugin.restarting) towards_goal(plugin);
    return;
  }
  plugin.pending = Pending{.request = request_of(saved.pending),
                           .operation = saved.pending,
                           .doing = doing_of(saved.pending),
                           .since = loop.now()};
  arm_deadline(plugin, std::chrono::milliseconds(plugin.info.grant.limits.max_execution_time_ms));
}

} // namespace mohhos::manager
