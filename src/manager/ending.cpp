// A process ends: by our decision, by its own, or by the kernel's. Whoever began it, the end is one
// path: the warden says Exited when nothing of the cgroup is left, the last words are read, the
// cause is put together, and everything that was the plugin's is released; only then do the waiting
// callers hear.
#include <algorithm>

#include <spdlog/spdlog.h>

#include "base/keys.hpp"
#include "manager/parts.hpp"

namespace mohhos::manager {

void Manager::Parts::kill(Plugin& plugin) {
  if (plugin.pending) plugin.death.doing = plugin.pending->doing;
  drop_pending(plugin, plugin.failure);
  if (!plugin.process) return on_exited(plugin, nullptr);
  warden::Target target{.plugin_id = plugin.info.id.value,
                        .generation = plugin.info.generation.value};
  target.header.type = warden::MessageType::Kill;
  warden->send(target);
}

void Manager::Parts::fail_plugin(Plugin& plugin, lifecycle::Event event, Code code,
                                 std::string cause) {
  if (plugin.death.decided.empty()) {
    plugin.death.decided = std::move(cause);
    plugin.failure = code;
  }
  if (plugin.info.state != model::State::Unloading) plugin.info.cause = plugin.death.decided;
  happen(plugin, event);
}

// The caller of the operation that came to nothing hears of it when the plugin is gone.
void Manager::Parts::drop_pending(Plugin& plugin, Code code) {
  if (!plugin.pending) return;
  Pending ended = std::move(*plugin.pending);
  plugin.pending.reset();
  if (!ended.reply) return;
  plugin.at_end.push_back([this, id = plugin.info.id, name = plugin.info.metadata.name, code,
                           request = ended.request, reply = std::move(ended.reply)] {
    if (code == Code::Cancelled)
      return reply(fail(code, "{} was unloaded by force while {} was under way", name,
                        lifecycle::event_name(request)));
    const Plugin* plugin_now = find(id);
    const std::string cause = plugin_now == nullptr ? "it is gone" : plugin_now->info.cause;
    reply(fail(code, "{}: {}", name, cause));
  });
}

void Manager::Parts::on_exited(Plugin& plugin, const warden::Exited* exited) {
  if (exited != nullptr) {
    plugin.death.signaled = exited->signaled != 0;
    plugin.death.value = exited->value;
    plugin.death.out_of_memory = exited->out_of_memory;
  } else {
    plugin.death.exit_known = false;
  }
  if (plugin.pending) plugin.death.doing = plugin.pending->doing;
  plugin.death.memory_limit_mb = plugin.info.grant.limits.max_memory_mb;
  if (plugin.link) plugin.link->drain();
  if (plugin.out) plugin.out->drain();
  if (plugin.err) plugin.err->drain();
  if (plugin.info.state != model::State::Unloading) {
    plugin.info.cause = cause_of(plugin.death);
    const std::string& name = plugin.info.metadata.name;
    spdlog::warn("{} ended: {}", name, plugin.info.cause);
    audit.append("crash", {{"plugin", std::string_view(name)},
                           {"id", plugin.info.id.value},
                           {"pid", std::int64_t{plugin.info.pid}},
                           {"cause", std::string_view(plugin.info.cause)},
                           {"refusals", plugin.attempts.refused()}});
  }
  const auto goal = goal_after_death(plugin);
  drop_pending(plugin, plugin.failure);
  if (goal && restart(plugin, *goal)) return;
  happen(plugin, lifecycle::Event::Died);
}

void Manager::Parts::forget_process(Plugin& plugin) {
  plugin.link.reset();
  plugin.link_grace.reset();
  plugin.out.reset();
  plugin.err.reset();
  plugin.pidfd.reset();
  plugin.info.pid = 0;
  plugin.last.reset();
  plugin.previous.reset();
}

// Its peers hear at once. Its rings stay, with us and with the warden, until what is to be kept of
// them is on disk: a manager that dies before that is followed by one that does it.
void Manager::Parts::release(Plugin& plugin, bool remove) {
  if (!plugin.info.metadata.restart.on_crash || shutting_down) return let_go(plugin, remove);
  const PluginId id = plugin.info.id;
  plugin.parting = true;
  execute(broker.part(id));
  bury_unread(plugin, remove ? "the plugin was unloaded" : "the plugin ended in ERROR",
              [this, id, remove] {
                Plugin* left = find(id);
                if (left == nullptr) return;
                // Unloaded meanwhile: then that goes on with it.
                if (!remove && left->info.state != model::State::Error) return;
                let_go(*left, remove);
              });
}

void Manager::Parts::let_go(Plugin& plugin, bool remove) {
  const PluginId id = plugin.info.id;
  plugin.parting = false;
  execute(broker.leave(id));
  if (journal) journal->receiver_gone(plugin.info.metadata.name);
  report_budgets.erase(id);
  end_restart(plugin);
  plugin.image.reset();
  forget_process(plugin);
  if (remove)
    registry.erase(id);
  else
    registry.set_alive(id, false);
  warden->send(warden::Forget{.plugin_id = id.value});
  if (!remove) save(plugin);
  if (!plugin.process) return later([this, id, remove] { finish_end(id, remove); });
  warden::Target target{.plugin_id = id.value, .generation = plugin.info.generation.value};
  target.header.type = warden::MessageType::Release;
  warden->send(target, [this, id, remove](Result<> released) {
    if (!released) spdlog::error("releasing plugin {}: {}", id.value, released.error().text);
    finish_end(id, remove);
  });
}

void Manager::Parts::finish_end(PluginId id, bool remove) {
  Plugin* plugin = find(id);
  if (plugin == nullptr) return;
  plugin->process = false;
  const auto at_end = std::exchange(plugin->at_end, {});
  // ERROR can be left by an unload that came while we waited: then its own release goes on.
  for (const auto& tell_caller : at_end) tell_caller();
  if (remove) plugins.erase(id);
  if (shutting_down) shutdown_step();
}

// Everything stops, dependants and dependencies alike; who does not answer within its own time is
// ended.
void Manager::Parts::begin_shutdown() {
  if (shutting_down) return;
  for (const PluginId id : keys_of(plugins)) {
    Plugin* plugin = find(id);
    if (plugin == nullptr) continue;
    const auto go_on = [this](Result<model::PluginInfo>) { later([this] { shutdown_step(); }); };
    if (plugin->info.state == model::State::Running && !plugin->pending)
      request(Caller{}, id, lifecycle::Event::Stop, go_on);
    else if (plugin->info.state == model::State::Loaded && !plugin->pending)
      happen(*plugin, lifecycle::Event::Unload);
    else
      request(Caller{}, id, lifecycle::Event::ForceUnload, go_on);
  }
  shutting_down = true;
  auto deadline = loop.after(std::chrono::seconds(3), [this] {
    for (const PluginId id : keys_of(plugins))
      if (Plugin* plugin = find(id)) happen(*plugin, lifecycle::Event::ForceUnload);
  });
  if (deadline) shutdown_deadline = std::move(*deadline);
  shutdown_step();
}

// Called when something has ended or stopped meanwhile: what stands stopped is unloaded, and when
// nothing is left we go.
void Manager::Parts::shutdown_step() {
  for (const PluginId id : keys_of(plugins)) {
    Plugin* plugin = find(id);
    if (plugin == nullptr || plugin->pending || !plugin->process) continue;
    if (plugin->info.state == model::State::Loaded) happen(*plugin, lifecycle::Event::Unload);
  }
  const bool live =
      std::ranges::any_of(plugins, [](const auto& entry) { return entry.second->process; });
  if (live) return;
  audit.append("shutdown", {});
  warden->send(warden::Signal{
      .header = {.type = warden::MessageType::Goodbye, .size = sizeof(warden::Signal)}});
  shutdown_deadline.reset();
}

} // namespace mohhos::manager
