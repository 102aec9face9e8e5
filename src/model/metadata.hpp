// What a manifest says, checked: US-004's plugin_metadata_t and its parts.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "model/acl.hpp"
#include "model/capability.hpp"
#include "model/limits.hpp"
#include "model/messaging.hpp"
#include "model/plugin_name.hpp"
#include "model/plugin_type.hpp"
#include "model/restart_policy.hpp"
#include "model/version.hpp"
#include "model/wall.hpp"

namespace mohhos::model {

inline constexpr std::size_t kLongestDescription = 255; // char description[256]
inline constexpr std::uint32_t kApiVersion = 1;         // of include/mohhos/abi.h

struct Dependency {
  std::string name;
  VersionRange versions;
  bool optional = false;
};

struct Platform {
  std::string os = "linux";
  std::string machine = "x86_64";
  Version min_kernel{}; // 0.0.0: any
};

struct Metadata {
  std::string name; // [a-z0-9][a-z0-9_-]*, at most kLongestName
  std::string description;
  std::string author;
  Version version;
  PluginType type = PluginType::Custom;
  std::vector<Dependency> dependencies;
  std::uint32_t required_api_version = kApiVersion;
  Platform platform;
  // US-004's security_requirements_t:
  CapabilitySet capabilities;
  Acl acl;
  SandboxLevel min_sandbox_level = SandboxLevel::L1;
  ResourceLimits limits;
  std::map<std::string, std::string> config; // defaults of the plugin's own settings
  Events events;                             // what it may publish
  ChannelWishes channels;
  RestartPolicy restart;
};

} // namespace mohhos::model
