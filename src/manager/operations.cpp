// Operations: a request is held against the lifecycle table, a step of the table is taken, the
// plugin or the warden is asked, and the answer is the next fact for the table.
#include <algorithm>

#include "manager/parts.hpp"

namespace mohhos::manager {

using lifecycle::Action;

namespace {

struct Asked {
  ipc::Operation operation;
  std::string_view word;
  std::string_view doing; // what the author wrote
  lifecycle::Event done;  // the fact that a 'yes' is
};
constexpr std::array kAsked = {
    Asked{ipc::Operation::Init, "init", "on_init", lifecycle::Event::Ready},
    Asked{ipc::Operation::Start, "start", "on_start", lifecycle::Event::Started},
    Asked{ipc::Operation::Stop, "stop", "on_stop", lifecycle::Event::Stopped},
    Asked{ipc::Operation::Unload, "unload", "on_unload", lifecycle::Event::Parted},
};

const Asked* asked_of(ipc::Operation operation) {
  const auto* found = std::ranges::find(kAsked, operation, &Asked::operation);
  return found == kAsked.end() ? nullptr : found;
}

std::uint64_t microseconds_since(Monotonic then, Monotonic now) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(now - then).count());
}

// The plugin's process is a stranger: of its codes only those that are its to give are believed.
Code believed(std::int32_t code) {
  return static_cast<Code>(code) == Code::Incompatible ? Code::Incompatible : Code::PluginFailed;
}

} // namespace

Result<> Manager::Parts::may_request(const Plugin& plugin, lifecycle::Event event) const {
  const std::string& name = plugin.info.metadata.name;
  if (shutting_down) return fail(Code::BadState, "mohhosd is shutting down");
  if (plugin.info.state == model::State::Error && (plugin.process || plugin.parting))
    return fail(Code::BadState, "{} is in ERROR and still being cleaned up; try again", name);
  if (plugin.restarting) return may_steer_restart(plugin, event);
  TRY(lifecycle::request(plugin.info.state, event, name));
  const bool force = event == lifecycle::Event::ForceUnload;
  if (plugin.pending && !force)
    return fail(Code::BadState, "{} is busy: {} is under way; wait for it", name,
                lifecycle::event_name(plugin.pending->request));
  if (event == lifecycle::Event::Unload) TRY(registry.may_leave(plugin.info.id));
  return {};
}

void Manager::Parts::request(const Caller& caller, PluginId id, lifecycle::Event event,
                             Reply<model::PluginInfo> reply) {
  Plugin* plugin = find(id);
  const bool leaves = event == lifecycle::Event::Unload || event == lifecycle::Event::ForceUnload;
  if (plugin != nullptr && leaves && plugin->info.state == model::State::Error &&
      (plugin->process || plugin->parting)) // what it left is still being put away
    return plugin->at_end.push_back(
        [this, caller, id, event, reply = std::move(reply)] { request(caller, id, event, reply); });
  auto allowed =
      plugin == nullptr ? Result<>(std::unexpected(unknown(id, ""))) : may_request(*plugin, event);
  const std::string name =
      plugin == nullptr ? std::to_string(id.value) : plugin->info.metadata.name;
  audit.append(lifecycle::event_name(event), {{"plugin", std::string_view(name)},
                                              {"id", id.value},
                                              {"uid", std::uint64_t{caller.uid}},
                                              {"pid", std::int64_t{caller.pid}},
                                              {"accepted", allowed.has_value()}});
  if (!allowed)
    return later(
        [reply = std::move(reply), error = allowed.error()] { reply(std::unexpected(error)); });

  if (plugin->restarting && !leaves) return steer_restart(*plugin, event, std::move(reply));
  if (plugin->restarting) event = lifecycle::Event::ForceUnload; // there is nobody to ask

  drop_pending(*plugin, Code::Cancelled); // force comes in between
  plugin->info.last_activity_us = wall_clock_us();
  if (leaves) {
    plugin->at_end.push_back([info = plugin->info, reply = std::move(reply)]() mutable {
      info.state = model::State::Unloaded;
      info.pid = 0;
      reply(std::move(info));
    });
  } else {
    plugin->pending = Pending{.request = event, .since = loop.now(), .reply = std::move(reply)};
  }
  happen(*plugin, event);
}

void Manager::Parts::happen(Plugin& plugin, lifecycle::Event event) {
  // A fact that the table has no row for is one that came twice, or too late to matter.
  if (const auto step = lifecycle::next(plugin.info.state, event)) take_step(plugin, *step);
}

void Manager::Parts::take_step(Plugin& plugin, lifecycle::Step step) {
  set_state(plugin, step.to);
  switch (step.act) {
  case Action::None:
  case Action::Launch: return; // begin_load does it, before there is a plugin to speak of
  case Action::AskStart: return ask(plugin, ipc::Operation::Start);
  case Action::AskStop: return ask(plugin, ipc::Operation::Stop);
  case Action::AskUnload: return ask(plugin, ipc::Operation::Unload);
  case Action::Freeze:
    return freeze_or_thaw(plugin, warden::MessageType::Freeze, lifecycle::Event::Frozen);
  case Action::Thaw:
    return freeze_or_thaw(plugin, warden::MessageType::Thaw, lifecycle::Event::Thawed);
  case Action::Announce: return announce(plugin);
  case Action::Kill: return kill(plugin);
  case Action::Release: return release(plugin, false);
  case Action::Remove: return release(plugin, true);
  case Action::Recover: return recover(plugin);
  }
}

void Manager::Parts::set_state(Plugin& plugin, model::State to) {
  const model::State from = plugin.info.state;
  if (from == to) return;
  if (to == model::State::Error)
    plugin.fell_from = plugin.stays_down
                           ? model::State::Unloaded
                           : goal_after_death(plugin).value_or(model::State::Unloaded);
  plugin.info.state = to;
  plugin.info.last_activity_us = wall_clock_us();
  const bool alive_there = to != model::State::Error && to != model::State::Unloaded;
  registry.set_alive(plugin.info.id, alive_there);
  const std::string& name = plugin.info.metadata.name;
  audit.append("state", {{"plugin", std::string_view(name)},
                         {"id", plugin.info.id.value},
                         {"from", model::state_name(from)},
                         {"to", model::state_name(to)},
                         {"cause", std::string_view(plugin.info.cause)}});
  if (to != model::State::Unloaded) save(plugin);
  tell(Event{wall_clock_us(), plugin.info.id, name, from, to, plugin.info.cause});
}

void Manager::Parts::arm_deadline(Plugin& plugin, std::chrono::milliseconds time) {
  if (!plugin.pending) return;
  auto deadline = loop.after(time, [this, id = plugin.info.id, time] {
    Plugin* late = find(id);
    if (late == nullptr || !late->pending) return;
    fail_plugin(
        *late, lifecycle::Event::Overdue, Code::TimedOut,
        fmt::format("it did not answer {} within {} ms", late->pending->doing, time.count()));
  });
  if (deadline) plugin.pending->deadline = std::move(*deadline);
}

void Manager::Parts::ask(Plugin& plugin, ipc::Operation operation) {
  const Asked* asked = asked_of(operation);
  if (!plugin.pending)
    plugin.pending = Pending{.request = lifecycle::Event::Unload, .since = loop.now()};
  plugin.adopted = false;
  plugin.pending->operation = operation;
  plugin.pending->doing = asked == nullptr ? std::string_view("it") : asked->doing;
  ipc::Operate operate{.operation = operation};
  operate.header.sequence = ++plugin.sequence;
  // First the plugin, then the record: a successor that finds the record without the operation
  // accepts an answer to the next number; the other way round it would wait for an answer that
  // nobody owes.
  if (plugin.link) plugin.link->send(operate);
  save(plugin);
  arm_deadline(plugin, std::chrono::milliseconds(plugin.info.grant.limits.max_execution_time_ms));
}

void Manager::Parts::on_done(Plugin& plugin, const ipc::Done& done, std::uint32_t sequence) {
  const Asked* asked = asked_of(done.operation);
  const bool ours =
      plugin.pending && plugin.pending->operation == done.operation && sequence == plugin.sequence;
  const bool predecessors = plugin.adopted && !plugin.pending && sequence == plugin.sequence + 1;
  if (asked == nullptr || (!ours && !predecessors))
    return fail_plugin(
        plugin, lifecycle::Event::Failed, Code::PluginFailed,
        "it answered what nobody had asked (its link does not keep to the protocol)");
  if (predecessors) plugin.sequence = sequence;
  plugin.stays_down = done.code != 0 && !plugin.restarting;
  if (done.code != 0 && done.operation != ipc::Operation::Unload)
    return fail_plugin(
        plugin, lifecycle::Event::Failed, believed(done.code),
        fmt::format("{} failed: {}", asked->word, monitor::escape_controls(done.text)));
  if (plugin.pending) plugin.pending->deadline.reset();
  if (done.operation == ipc::Operation::Init) return settle(plugin, asked->done);
  happen(plugin, asked->done);
}

// What it says of itself is not believed: only when the warden maps no code for it any more does it
// get channels, whose memory it could otherwise write and run.
void Manager::Parts::settle(Plugin& plugin, lifecycle::Event done) {
  warden::Target target{.plugin_id = plugin.info.id.value,
                        .generation = plugin.info.generation.value};
  target.header.type = warden::MessageType::Settle;
  warden->send(target, [this, target, done](Result<> answer) {
    Plugin* asked = find_process(target);
    if (asked == nullptr || asked->info.state != model::State::Loading) return;
    if (!answer)
      return fail_plugin(*asked, lifecycle::Event::Failed, Code::NoSandbox,
                         fmt::format("it could not be settled: {}", answer.error().text));
    restore_messages(*asked, [this, target, done] {
      Plugin* settled = find_process(target);
      if (settled == nullptr || settled->info.state != model::State::Loading) return;
      execute(broker.join(party_of(*settled)));
      happen(*settled, done);
    });
  });
}

void Manager::Parts::freeze_or_thaw(Plugin& plugin, warden::MessageType type,
                                    lifecycle::Event done) {
  if (plugin.pending)
    plugin.pending->doing = type == warden::MessageType::Freeze ? "the freezer" : "the thaw";
  warden::Target target{.plugin_id = plugin.info.id.value,
                        .generation = plugin.info.generation.value};
  target.header.type = type;
  warden->send(target, [this, target, done](Result<> answer) {
    Plugin* asked = find_process(target);
    if (asked == nullptr || !asked->pending) return;
    if (answer) return happen(*asked, done);
    Pending ended = std::move(*asked->pending);
    asked->pending.reset();
    if (ended.reply)
      ended.reply(std::unexpected(std::move(answer).error().within(asked->info.metadata.name)));
    if (!asked->restarting) return;
    asked->restarting->goal = asked->info.state; // it runs, and cannot be frozen: that is enough
    towards_goal(*asked);
  });
}

void Manager::Parts::announce(Plugin& plugin) {
  if (!plugin.pending) return save(plugin);
  Pending ended = std::move(*plugin.pending);
  plugin.pending.reset();
  const std::uint64_t took = microseconds_since(ended.since, loop.now());
  if (ended.request == lifecycle::Event::Load) plugin.info.load_us = took;
  if (ended.request == lifecycle::Event::Start) plugin.info.start_us = took;
  if (plugin.info.state == model::State::Suspended) plugin.previous.reset();
  save(plugin);
  if (ended.reply) ended.reply(info_of(plugin));
  if (plugin.restarting) towards_goal(plugin);
}

} // namespace mohhos::manager
