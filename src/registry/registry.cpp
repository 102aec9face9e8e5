#include "registry/registry.hpp"

#include "base/check.hpp"

namespace mohhos::registry {
namespace {

Result<> fits_host(const model::Metadata& plugin, const Host& host) {
  if (plugin.platform.os != host.os)
    return fail(Code::Incompatible, "{} {} is for {}, and this is {}", plugin.name,
                to_string(plugin.version), plugin.platform.os, host.os);
  if (plugin.platform.machine != host.machine)
    return fail(Code::Incompatible, "{} {} is for {}, and this machine is {}", plugin.name,
                to_string(plugin.version), plugin.platform.machine, host.machine);
  if (plugin.platform.min_kernel > host.kernel)
    return fail(Code::Incompatible, "{} {} needs Linux {} or later, and this is {}", plugin.name,
                to_string(plugin.version), to_string(plugin.platform.min_kernel),
                to_string(host.kernel));
  if (plugin.required_api_version != host.api_version)
    return fail(Code::Incompatible, "{} {} needs plugin API {}, and this mohhosd has {}",
                plugin.name, to_string(plugin.version), plugin.required_api_version,
                host.api_version);
  return {};
}

std::string what_is_missing(const DependencyState& dependency, const Entry* found) {
  if (found == nullptr) return "it is not loaded; load it first";
  if (!found->alive) return fmt::format("{} is in ERROR; load it again first", dependency.name);
  return fmt::format("{} {} is loaded", dependency.name, to_string(found->metadata.version));
}

} // namespace

Result<> Registry::admit(const model::Metadata& metadata, const Host& host) const {
  if (const Entry* holder = find(metadata.name); holder != nullptr && holder->alive)
    return fail(Code::Exists,
                "{} is loaded already (version {}, id {}); unload it first (plugctl unload {})",
                metadata.name, to_string(holder->metadata.version), holder->id.value,
                metadata.name);
  TRY(fits_host(metadata, host));
  for (const DependencyState& dependency : dependencies_of(metadata)) {
    if (dependency.satisfied) continue;
    return fail(Code::Dependency, "{} {} needs {} ({}): {}", metadata.name,
                to_string(metadata.version), dependency.name, to_string(dependency.versions),
                what_is_missing(dependency, find(dependency.name)));
  }
  return {};
}

Result<> Registry::may_leave(PluginId id) const {
  const Entry* leaving = find(id);
  if (leaving == nullptr) return {};
  std::string names;
  for (const auto& [other_id, other] : by_id_) {
    if (!other.alive || other_id == id) continue;
    for (const model::Dependency& dependency : other.metadata.dependencies) {
      if (dependency.optional || dependency.name != leaving->metadata.name) continue;
      names += names.empty() ? "" : ", ";
      names += other.metadata.name;
    }
  }
  if (names.empty()) return {};
  return fail(Code::BadState, "{} is needed by {}; unload that first, or unload with --force",
              leaving->metadata.name, names);
}

std::vector<DependencyState> Registry::dependencies_of(const model::Metadata& metadata) const {
  std::vector<DependencyState> states;
  for (const model::Dependency& dependency : metadata.dependencies) {
    DependencyState state{dependency.name, dependency.versions, dependency.optional, std::nullopt,
                          dependency.optional};
    if (const Entry* found = find(dependency.name); found != nullptr && found->alive) {
      state.found = found->metadata.version;
      state.satisfied = dependency.versions.contains(found->metadata.version);
    }
    states.push_back(std::move(state));
  }
  return states;
}

void Registry::insert(Entry entry) {
  if (const Entry* holder = find(entry.metadata.name); holder != nullptr) {
    CHECK(!holder->alive);
    erase(holder->id);
  }
  by_name_[entry.metadata.name] = entry.id;
  const PluginId id = entry.id;
  by_id_.insert_or_assign(id, std::move(entry));
}

void Registry::erase(PluginId id) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return;
  by_name_.erase(found->second.metadata.name);
  by_id_.erase(found);
}

void Registry::set_alive(PluginId id, bool alive) {
  const auto found = by_id_.find(id);
  if (found != by_id_.end()) found->second.alive = alive;
}

const Entry* Registry::find(PluginId id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &found->second;
}

const Entry* Registry::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : find(found->second);
}

} // namespace mohhos::registry
