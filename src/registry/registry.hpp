// What is loaded and what fits together: an index by id and by name, and the questions whether a
// plugin may come (name, API version, platform, dependencies) and whether one may go (dependants).
// Pure: it knows metadata and whether a plugin is alive, no process and no file.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "model/metadata.hpp"

namespace mohhos::registry {

// The machine that plugins would run on.
struct Host {
  std::string os = "linux";
  std::string machine = "x86_64";
  model::Version kernel{};
  std::uint32_t api_version = model::kApiVersion;
};

struct Entry {
  PluginId id;
  model::Metadata metadata;
  bool alive = true; // false: in ERROR; its name is free and nobody can depend on it
};

// One dependency of a plugin and how it stands: US-004's dependency_status_t.
struct DependencyState {
  std::string name;
  model::VersionRange versions;
  bool optional = false;
  std::optional<model::Version> found; // what is loaded under that name
  bool satisfied = false; // an optional one that is absent is satisfied; a wrong version never is
};

class Registry {
public:
  // Whether a plugin with this metadata may be loaded now. Exists, Incompatible or Dependency; the
  // sentence names both sides. [pure]
  [[nodiscard]] Result<> admit(const model::Metadata& metadata, const Host& host) const;

  // BadState while a living plugin needs this one; names them. [pure]
  [[nodiscard]] Result<> may_leave(PluginId id) const;

  [[nodiscard]] std::vector<DependencyState> dependencies_of(const model::Metadata& metadata) const;

  // The name must be free (admit said so), or held by an entry in ERROR, which is then replaced.
  void insert(Entry entry);
  void erase(PluginId id);
  void set_alive(PluginId id, bool alive);

  [[nodiscard]] const Entry* find(PluginId id) const;
  [[nodiscard]] const Entry* find(std::string_view name) const;
  [[nodiscard]] std::size_t size() const { return by_id_.size(); }

private:
  std::map<PluginId, Entry> by_id_;
  std::map<std::string, PluginId, std::less<>> by_name_;
};

} // namespace mohhos::registry
