// A plugin that died is begun again: from the bytes, the settings and the rights that it was loaded
// with, under its id, as the next generation, and back to what it was. lifecycle/restart_policy.hpp
// decides; here is what follows.
//
//   death      peers hear at once (broker.lost), so that what they wait for ends; rings stay
//   waiting    no process: the warden has let go of the old one when nothing of it was left
//   beginning  verified and launched as at load; LOADING, LOADED, and on to its goal
//
// Each step is in the plugin's record before it is taken, so a manager that dies on the way is
// replaced by one that goes on. What the old process left in the warden is let go before the launch
// of the next: both travel on one ordered link.
#include <algorithm>

#include <spdlog/spdlog.h>

#include "manager/parts.hpp"
#include "sandbox/boot.hpp"

namespace mohhos::manager {
namespace {

using model::State;

// A launch that was cut short by the end of the manager before us may take this long to be cleared.
constexpr std::chrono::milliseconds kAfterAdoption{50};

} // namespace

// What it was doing, or was about to stop doing.
std::optional<State> Manager::Parts::goal_after_death(const Plugin& plugin) const {
  if (!plugin.info.metadata.restart.on_crash || shutting_down) return std::nullopt;
  const State state = plugin.info.state;
  if (state == State::Unloading) return std::nullopt;
  if (plugin.restarting) return plugin.restarting->goal;
  if (state == State::Error) return lifecycle::goal_of(plugin.fell_from);
  if (plugin.pending && plugin.pending->request == lifecycle::Event::Stop) return State::Loaded;
  return lifecycle::goal_of(state);
}

bool Manager::Parts::restart(Plugin& plugin, State goal) {
  const model::RestartPolicy& policy = plugin.info.metadata.restart;
  const std::string& name = plugin.info.metadata.name;
  const auto decision = lifecycle::on_death(policy, plugin.restarts, loop.now());
  if (!decision.again) {
    plugin.info.cause = fmt::format("it died again after {} restarts in a row: {}",
                                    plugin.restarts.in_a_row, plugin.info.cause);
    audit.append("restarts-used-up", {{"plugin", std::string_view(name)},
                                      {"id", plugin.info.id.value},
                                      {"restarts", std::uint64_t{plugin.restarts.in_a_row}}});
    plugin.stays_down = true; // also for our successor, who may have to put away what it left
    plugin.fell_from = State::Unloaded;
    return false;
  }
  examine_rings(plugin);
  bury_suspects(plugin);
  if (!plugin.restarting) plugin.restarting.emplace();
  plugin.restarting->goal = goal;
  plugin.restarting->waiting = true;
  plugin.restarting->due = false;
  plugin.restarting->cause = plugin.info.cause;
  plugin.fell_from = State::Unloaded;
  plugin.info.cause = lifecycle::describe_restart(policy, plugin.restarts, plugin.info.cause);
  spdlog::warn("{}: {}", name, plugin.info.cause);
  audit.append("restart", {{"plugin", std::string_view(name)},
                           {"id", plugin.info.id.value},
                           {"generation", std::uint64_t{plugin.info.generation.value}},
                           {"in_a_row", std::uint64_t{plugin.restarts.in_a_row}},
                           {"backoff_ms", static_cast<std::uint64_t>(decision.after.count())}});
  const bool once_more = plugin.info.state == State::Loading; // no change of state to be told
  happen(plugin, lifecycle::Event::Fell);
  if (once_more)
    tell(Event{wall_clock_us(), plugin.info.id, name, State::Loading, State::Loading,
               plugin.info.cause});
  restart_later(plugin, decision.after);
  return true;
}

// Nothing of the process is left: the warden said so. What waits in rings stays.
void Manager::Parts::recover(Plugin& plugin) {
  const PluginId id = plugin.info.id;
  forget_process(plugin);
  save(plugin);
  execute(broker.lost(id));
  for (const auto kind :
       {warden::KeepKind::Link, warden::KeepKind::Stdout, warden::KeepKind::Stderr})
    warden->send(warden::Forget{.plugin_id = id.value, .kind = kind});
  if (plugin.process) {
    warden::Target target{.plugin_id = id.value, .generation = plugin.info.generation.value};
    target.header.type = warden::MessageType::Release;
    warden->send(target);
  }
  plugin.process = false;
  later([at_end = std::exchange(plugin.at_end, {})] {
    for (const auto& tell_caller : at_end) tell_caller();
  });
}

void Manager::Parts::restart_later(Plugin& plugin, std::chrono::milliseconds after) {
  auto timer = loop.after(after, [this, id = plugin.info.id] { restart_now(id); });
  if (timer)
    plugin.restarting->timer = std::move(*timer);
  else
    loop.stop(1); // without timers we are of no use; our successor goes on
}

void Manager::Parts::restart_now(PluginId id) {
  Plugin* plugin = find(id);
  if (plugin == nullptr || !plugin->restarting || !plugin->restarting->waiting) return;
  if (plugin->info.state != State::Loading || shutting_down) return;
  plugin->restarting->due = true;
  if (plugin->burials != 0) return; // the last of them comes here again
  if (auto begun = begin_again(*plugin); !begun) on_restart_failed(*plugin, begun.error());
}

// The steps of a load (launch.cpp), without those that decide what was decided at load.
Result<> Manager::Parts::begin_again(Plugin& plugin) {
  TRY(keyring.refresh());
  TRY(sys::Fd image, plugin.image.duplicate());
  TRY(auto package,
      security::open_package(std::move(image), plugin.signature, keyring, elf_policy));
  const model::Metadata& metadata = plugin.info.metadata;
  const sandbox::CompileOptions options{.floor = setup.config.min_level, .extra_walls = 0};
  TRY(const sandbox::Spec spec, sandbox::compile(plugin.info.grant, metadata, layout, options));
  TRY(const auto* const pair, filters.find(plugin.info.grant.capabilities));
  const Generation next{plugin.info.generation.value + 1};
  TRY(const sys::Fd boot, sandbox::make_boot(sandbox::compile_boot(
                              spec, plugin.info.grant, metadata, *pair, plugin.info.id, next)));
  TRY(Ways ways, make_ways());

  plugin.info.generation = next;
  plugin.info.cause = plugin.restarting->cause;
  plugin.restarting->waiting = false;
  plugin.death = {};
  plugin.failure = Code::PluginFailed;
  plugin.stays_down = false;
  plugin.adopted = false;
  plugin.pending =
      Pending{.request = lifecycle::Event::Load, .doing = "its launch", .since = loop.now()};
  save(plugin);
  begin_process(plugin, std::move(ways), spec, package.fd(), boot.get());
  return {};
}

// It did not even come to a process.
void Manager::Parts::on_restart_failed(Plugin& plugin, const Error& why) {
  plugin.pending.reset();
  if (why.code == Code::Exists) { // of the one before something is left still
    plugin.restarting->waiting = true;
    return restart_later(plugin, kAfterAdoption);
  }
  plugin.failure = why.code;
  plugin.info.cause = why.text;
  if (!restart(plugin, plugin.restarting->goal)) happen(plugin, lifecycle::Event::Died);
}

void Manager::Parts::towards_goal(Plugin& plugin) {
  const auto step = lifecycle::step_towards(plugin.restarting->goal, plugin.info.state);
  if (step) {
    plugin.pending = Pending{.request = *step, .since = loop.now()};
    return happen(plugin, *step);
  }
  if (plugin.info.state != plugin.restarting->goal) return;
  const auto replies = std::move(plugin.restarting->replies);
  plugin.restarting.reset();
  plugin.restarts.standing_since = loop.now();
  save(plugin);
  const std::string& name = plugin.info.metadata.name;
  spdlog::info("{} is {} again, as generation {}", name, model::state_name(plugin.info.state),
               plugin.info.generation.value);
  audit.append("restarted", {{"plugin", std::string_view(name)},
                             {"id", plugin.info.id.value},
                             {"generation", std::uint64_t{plugin.info.generation.value}},
                             {"state", model::state_name(plugin.info.state)}});
  const model::PluginInfo info = info_of(plugin);
  for (const auto& reply : replies) reply(info);
}

// It came to nothing: it is unloaded, or in ERROR.
void Manager::Parts::end_restart(Plugin& plugin) {
  if (!plugin.restarting) return;
  const bool unloaded = plugin.info.state == State::Unloaded;
  const std::string cause =
      unloaded ? "it was unloaded while it was being restarted" : plugin.info.cause;
  const Code code = unloaded ? Code::Cancelled : plugin.failure;
  for (auto& reply : plugin.restarting->replies)
    plugin.at_end.push_back([reply = std::move(reply), name = plugin.info.metadata.name, code,
                             cause] { reply(fail(code, "{}: {}", name, cause)); });
  plugin.restarting.reset();
}

Result<> Manager::Parts::may_steer_restart(const Plugin& plugin, lifecycle::Event event) const {
  if (event == lifecycle::Event::ForceUnload) return {};
  if (event == lifecycle::Event::Unload) return registry.may_leave(plugin.info.id);
  TRY(lifecycle::new_goal(plugin.restarting->goal, event, plugin.info.metadata.name));
  return {};
}

// What the caller asked for, it gets when the restart has come there.
void Manager::Parts::steer_restart(Plugin& plugin, lifecycle::Event event,
                                   Reply<model::PluginInfo> reply) {
  Restarting& restarting = *plugin.restarting;
  restarting.goal = lifecycle::new_goal(restarting.goal, event, plugin.info.metadata.name)
                        .value_or(restarting.goal);
  restarting.replies.push_back(std::move(reply));
  save(plugin);
}

// A restart that the manager before us had begun.
void Manager::Parts::adopt_restart(Plugin& plugin, SavedRestart saved, bool has_process) {
  plugin.restarting =
      Restarting{.goal = saved.goal, .waiting = !has_process, .cause = std::move(saved.cause)};
  if (plugin.info.state != State::Loading) return;
  // As the one that was lost, so that its successor is known as one; who is told, is told later.
  ipc::Party before = party_of(plugin);
  if (has_process) --before.generation.value;
  execute(broker.join(std::move(before)));
  if (!has_process)
    restart_later(plugin, std::max(plugin.info.metadata.restart.backoff, kAfterAdoption));
}

} // namespace mohhos::manager
