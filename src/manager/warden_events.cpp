// What the warden says, each message to its place.
#include <algorithm>
#include <cstring>

#include <spdlog/spdlog.h>

#include "manager/parts.hpp"
#include "sandbox/explain.hpp"

namespace mohhos::manager {

using warden::MessageType;

void Manager::Parts::on_warden(WardenMessage message) {
  switch (message.header.type) {
  case MessageType::Hello:
    return on_hello(message.as<warden::Hello>(), std::move(message.fds.front()));
  case MessageType::Kept:
    return on_kept(message.as<warden::Kept>(), std::move(message.fds.front()));
  case MessageType::Running: {
    auto& heir = inheritance[{message.as<warden::Running>().launched.plugin_id}];
    heir.running = message.as<warden::Running>().launched;
    heir.pidfd = std::move(message.fds.front());
    return;
  }
  case MessageType::HelloEnd: return on_hello_end();
  case MessageType::Launched:
    return on_launched(message.as<warden::Launched>(), std::move(message.fds.front()));
  case MessageType::LaunchFailed: return on_launch_failed(message.as<warden::LaunchFailed>());
  case MessageType::Exited: {
    const auto& exited = message.as<warden::Exited>();
    if (!ready) {
      inheritance[{exited.plugin_id}].exited = exited;
      return;
    }
    Plugin* plugin = find({exited.plugin_id});
    if (plugin != nullptr && plugin->info.generation.value == exited.generation)
      return on_exited(*plugin, &exited);
    // One that nobody could say anything about when we took over.
    warden::Target target{.plugin_id = exited.plugin_id, .generation = exited.generation};
    target.header.type = MessageType::Release;
    warden->send(target);
    return;
  }
  case MessageType::Attempt: return on_attempt(message.as<warden::Attempt>());
  case MessageType::Shutdown: return begin_shutdown();
  case MessageType::Reload:
    reload_config();
    for (const auto& [id, plugin] : plugins) regrant(*plugin);
    return;
  default: return; // the port lets nothing else through
  }
}

// Without the warden we can do nothing, and a successor is better off with its own state: go.
void Manager::Parts::on_warden_end(const Error& why) {
  if (!shutting_down) spdlog::error("the warden: {}", why.text);
  loop.stop(shutting_down ? 0 : 1);
}

void Manager::Parts::on_attempt(const warden::Attempt& attempt) {
  Plugin* plugin = find({attempt.plugin_id});
  if (plugin == nullptr || plugin->info.generation.value != attempt.generation) return;
  model::Refusal refusal;
  refusal.verdict = attempt.allowed != 0 ? model::Verdict::Allowed : model::Verdict::Refused;
  refusal.syscall = attempt.syscall;
  std::copy(std::begin(attempt.arguments), std::end(attempt.arguments), refusal.arguments.begin());
  refusal.instruction = attempt.instruction;
  refusal.path.assign(attempt.path, ::strnlen(attempt.path, sizeof attempt.path));
  refusal.first_us = refusal.last_us = attempt.when_us;
  const std::string& name = plugin->info.metadata.name;
  sandbox::put_into_words(refusal, name, plugin->info.grant.capabilities);
  plugin->attempts.add_lost(attempt.lost);
  const std::string call = refusal.call;
  const std::string rule = refusal.rule;
  if (plugin->attempts.add(std::move(refusal)))
    audit.append(attempt.allowed != 0 ? "open" : "refused", {{"plugin", std::string_view(name)},
                                                             {"id", attempt.plugin_id},
                                                             {"call", std::string_view(call)},
                                                             {"rule", std::string_view(rule)}});
}

security::ElfPolicy Manager::Parts::elf_policy_of(const Config& config) {
  security::ElfPolicy policy = security::ElfPolicy::standard();
  policy.libraries.insert(policy.libraries.end(), config.allowed_libraries.begin(),
                          config.allowed_libraries.end());
  return policy;
}

void Manager::Parts::reload_config() {
  auto config = read_config(setup.paths);
  if (!config) {
    spdlog::error("the configuration is not reloaded: {}", config.error().text);
    return;
  }
  setup.config = std::move(*config);
  letters->set_bounds(letter_bounds(setup.config));
  elf_policy = elf_policy_of(setup.config);
  audit.append("reload", {});
  spdlog::info("configuration reloaded");
}

} // namespace mohhos::manager
