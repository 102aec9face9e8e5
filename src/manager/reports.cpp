// What is said about plugins: info, samples and the judgement over them, lines, state changes, the
// daemon itself.
#include <algorithm>
#include <chrono>

#include <spdlog/spdlog.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/keys.hpp"
#include "manager/limits_report.hpp"
#include "manager/parts.hpp"

namespace mohhos::manager {
namespace {

constexpr std::chrono::milliseconds kShortestInterval{100}; // over which CPU use means something

LimitsBackend backend_of(const warden::Hello& hello) {
  const model::WallSet groups = model::wall_bit(model::Wall::MemoryLimit) |
                                model::wall_bit(model::Wall::CpuLimit) |
                                model::wall_bit(model::Wall::ProcessLimit);
  if ((hello.buildable & groups) == 0) return LimitsBackend::None;
  return hello.limits_v1 != 0 ? LimitsBackend::CgroupV1 : LimitsBackend::CgroupV2;
}

std::string_view backend_name(LimitsBackend backend) {
  switch (backend) {
  case LimitsBackend::CgroupV1: return "cgroup v1";
  case LimitsBackend::CgroupV2: return "cgroup v2";
  case LimitsBackend::None: break;
  }
  return "none";
}

std::string_view mode_name(warden::Mode mode) {
  switch (mode) {
  case warden::Mode::Privileged: return "privileged";
  case warden::Mode::UserWithSubuids: return "user-with-subuids";
  case warden::Mode::User: break;
  }
  return "user";
}

} // namespace

std::uint64_t wall_clock_us() {
  using namespace std::chrono;
  return static_cast<std::uint64_t>(
      duration_cast<microseconds>(system_clock::now().time_since_epoch()).count());
}

model::PluginInfo Manager::Parts::info_of(const Plugin& plugin) const {
  model::PluginInfo info = plugin.info;
  info.limits = report_limits(info.grant.limits, info.walls, backend_of(hello));
  info.refusals = plugin.attempts.refused();
  info.restarts = plugin.restarts.total;
  info.restarting = plugin.restarting.has_value();
  if (!plugin.process || info.pid == 0) return info;
  const auto now = monitor::take_sample(plugin.sources, loop.now());
  if (!now) return info;
  info.memory_bytes = now->memory.count;
  const auto& before =
      plugin.last && now->at - plugin.last->at >= kShortestInterval ? plugin.last : plugin.previous;
  if (before) info.cpu_percent = monitor::cpu_percent(*before, *now);
  return info;
}

void Manager::Parts::sample_all() {
  std::vector<std::pair<PluginId, std::string>> over;
  for (auto& [id, plugin] : plugins) {
    if (!plugin->process || plugin->info.pid == 0) continue;
    if (plugin->attempts.revision() != plugin->saved_attempts) save(*plugin);
    auto now = monitor::take_sample(plugin->sources, loop.now());
    if (!now) continue;
    if (plugin->last && now->cpu > plugin->last->cpu)
      plugin->info.last_activity_us = wall_clock_us();
    plugin->previous = plugin->last;
    plugin->last = *now;
    const bool kernels = (plugin->info.walls & model::wall_bit(model::Wall::MemoryLimit)) != 0;
    if (auto verdict = monitor::judge(*now, plugin->info.grant.limits, kernels))
      over.emplace_back(id, std::move(*verdict));
  }
  for (auto& [id, verdict] : over)
    if (Plugin* plugin = find(id))
      fail_plugin(*plugin, lifecycle::Event::Overdue, Code::PluginFailed, std::move(verdict));
  if (audit.full() && audit.try_recover()) spdlog::info("the audit log can be written again");
}

DaemonStatus Manager::Parts::status() const {
  utsname kernel{};
  ::uname(&kernel);
  DaemonStatus status;
  status.version = MOHHOS_VERSION;
  status.warden_pid = hello.warden_pid;
  status.manager_pid = ::getpid();
  status.manager_restarts = hello.restarts;
  status.mode = mode_name(hello.mode);
  status.kernel = kernel.release;
  status.landlock_abi = hello.landlock_abi;
  status.limits_backend = backend_name(backend_of(hello));
  status.best_level = model::level_of(hello.buildable);
  status.missing = model::walls_of(model::SandboxLevel::L3) & ~hello.buildable;
  status.plugins = static_cast<std::uint32_t>(plugins.size());
  status.channels = static_cast<std::uint32_t>(channels.size());
  status.root = setup.root;
  status.uptime_us = wall_clock_us() - started_us;
  return status;
}

// Followers may end their subscription, or others', from inside the call.
void Manager::Parts::tell(const Event& event) {
  for (const std::uint64_t key : keys_of(watchers)) {
    const auto found = watchers.find(key);
    if (found == watchers.end()) continue;
    const auto [id, call] = found->second;
    if (!id || id == event.id) call(event);
  }
}

void Manager::Parts::tell(const LogRecord& record) {
  for (const std::uint64_t key : keys_of(log_followers)) {
    const auto found = log_followers.find(key);
    if (found == log_followers.end()) continue;
    const auto [id, call] = found->second;
    if (!id || id == record.id) call(record);
  }
}

Plugin* Manager::Parts::find(PluginId id) {
  const auto found = plugins.find(id);
  return found == plugins.end() ? nullptr : found->second.get();
}

Plugin* Manager::Parts::find_process(const warden::Target& process) {
  Plugin* plugin = find({process.plugin_id});
  if (plugin == nullptr || !plugin->process) return nullptr;
  return plugin->info.generation.value == process.generation ? plugin : nullptr;
}

const Plugin* Manager::Parts::find(PluginId id) const {
  const auto found = plugins.find(id);
  return found == plugins.end() ? nullptr : found->second.get();
}

Error Manager::Parts::unknown(PluginId id, std::string_view name) const {
  std::string there;
  for (const auto& [other, plugin] : plugins) {
    there += there.empty() ? "" : ", ";
    there += plugin->info.metadata.name;
  }
  const std::string which =
      name.empty() ? fmt::format("with id {}", id.value)
                   : fmt::format("named {}", monitor::escape_controls(name.substr(0, 64)));
  return {Code::NotFound,
          fmt::format("no plugin {} is loaded ({})", which,
                      there.empty() ? "none is" : fmt::format("there are {}", there))};
}

void Manager::Parts::later(std::function<void()> what) {
  deferred.push_back(std::move(what));
  if (deferred.size() > 1) return;
  auto source = loop.defer([this] {
    const auto calls = std::exchange(deferred, {});
    for (const auto& call : calls) call();
  });
  if (source)
    deferred_source = std::move(*source);
  else
    loop.stop(1);
}

} // namespace mohhos::manager
