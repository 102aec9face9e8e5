#include "api/capi_convert.hpp"

#include <algorithm>
#include <cstring>

#include "model/capability.hpp"
#include "model/plugin_type.hpp"
#include "model/state.hpp"

namespace mohhos::api::capi {
namespace {

template <std::size_t size>
void copy_text(const std::string& from, char (&to)[size]) {
  const std::size_t length = std::min(from.size(), size - 1);
  std::memcpy(to, from.data(), length);
  std::memset(to + length, 0, size - length);
}

template <class List>
void copy_list(const List& from, string_list_t& to) {
  if (from.empty()) return;
  to.items = allocate<char*>(static_cast<std::size_t>(from.size()));
  for (const std::string& text : from) {
    to.items[to.count] = allocate<char>(text.size() + 1);
    std::memcpy(to.items[to.count++], text.data(), text.size());
  }
}

void clear_list(string_list_t& list) noexcept {
  for (std::size_t i = 0; i < list.count; ++i) std::free(list.items[i]);
  std::free(static_cast<void*>(list.items));
  list = {};
}

plugin_type_t type_of(const std::string& name) {
  return static_cast<plugin_type_t>(model::parse_type(name).value_or(model::PluginType::Custom));
}

plugin_state_t state_of(const std::string& name) {
  for (unsigned i = 0; i < model::kStateCount; ++i)
    if (model::state_name(static_cast<model::State>(i)) == name)
      return static_cast<plugin_state_t>(i);
  return PLUGIN_ERROR;
}

trust_level_t trust_of(const std::string& name) {
  if (name == "system") return TRUST_SYSTEM;
  if (name == "verified") return TRUST_VERIFIED;
  return name == "community" ? TRUST_COMMUNITY : TRUST_NONE;
}

template <class List>
capability_set_t capabilities_of(const List& names, std::uint32_t custom) {
  capability_set_t set{};
  set.custom_capabilities = custom;
  for (const std::string& name : names) {
    const auto capability = model::parse_capability(name);
    if (!capability) continue;
    switch (*capability) {
    case model::Capability::Filesystem: set.can_access_filesystem = true; break;
    case model::Capability::Network: set.can_access_network = true; break;
    case model::Capability::Hardware: set.can_access_hardware = true; break;
    case model::Capability::CreateProcesses: set.can_create_processes = true; break;
    case model::Capability::AiEngine: set.can_access_ai_engine = true; break;
    case model::Capability::ModifySystemConfig: set.can_modify_system_config = true; break;
    }
  }
  return set;
}

std::uint64_t limit_of(const v1::PluginInfo& info, std::string_view name) {
  for (const auto& limit : info.limits())
    if (limit.name() == name) return limit.value();
  return 0;
}

resource_limits_t limits_of(const v1::PluginInfo& info) {
  const auto small = [&](std::string_view name) {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(limit_of(info, name), UINT32_MAX));
  };
  return {.max_memory_mb = limit_of(info, "max_memory_mb"),
          .max_cpu_percent = small("max_cpu_percent"),
          .max_file_descriptors = small("max_file_descriptors"),
          .max_network_connections = small("max_network_connections"),
          .max_execution_time_ms = limit_of(info, "max_execution_time_ms")};
}

void write_dependencies(const v1::PluginInfo& info, dependency_list_t& list) {
  if (info.depends().empty()) return;
  list.items = allocate<dependency_t>(static_cast<std::size_t>(info.depends_size()));
  for (const auto& dependency : info.depends()) {
    dependency_t& one = list.items[list.count++];
    copy_text(dependency.name(), one.plugin_name);
    copy_text(dependency.min(), one.min_version);
    copy_text(dependency.max(), one.max_version);
    one.optional = dependency.optional();
  }
}

void write_metadata(const v1::PluginInfo& info, plugin_metadata_t& metadata) {
  copy_text(info.name(), metadata.name);
  copy_text(info.description(), metadata.description);
  copy_text(info.author(), metadata.author);
  copy_text(info.version(), metadata.version);
  metadata.type = type_of(info.type());
  metadata.required_api_version.major = static_cast<std::uint16_t>(info.api());
  copy_text(info.os(), metadata.platform_req.os);
  copy_text(info.machine(), metadata.platform_req.machine);
  copy_text(info.min_kernel(), metadata.platform_req.min_kernel);
  metadata.security_req.capabilities =
      capabilities_of(info.requested_capabilities(), info.requested_custom_capabilities());
  copy_text(info.min_sandbox_level(), metadata.security_req.min_sandbox_level);
  write_dependencies(info, metadata.dependencies);
}

void write_security(const v1::PluginInfo& info, security_context_t& context) {
  const v1::Grant& grant = info.grant();
  context.capabilities = capabilities_of(grant.capabilities(), grant.custom_capabilities());
  context.limits = limits_of(info);
  context.signature.verified = !info.signer().empty();
  copy_text(info.signer(), context.signature.key_id);
  copy_text(info.sha256(), context.signature.sha256);
  context.trust_level = trust_of(info.trust_level());
  copy_list(grant.read(), context.acl.read);
  copy_list(grant.write(), context.acl.write);
  copy_list(grant.devices(), context.acl.devices);
  copy_list(grant.connect(), context.acl.connect);
  copy_list(grant.send_to(), context.acl.send_to);
  copy_list(grant.receive_from(), context.acl.receive_from);
}

} // namespace

void clear(plugin_descriptor_t& descriptor) noexcept {
  access_control_list_t& acl = descriptor.security_context.acl;
  for (string_list_t* list :
       {&acl.read, &acl.write, &acl.devices, &acl.connect, &acl.send_to, &acl.receive_from})
    clear_list(*list);
  std::free(descriptor.metadata.dependencies.items);
  descriptor.metadata.dependencies = {};
}

void write_descriptor(const v1::PluginInfo& info, plugin_descriptor_t& descriptor) try {
  descriptor = {};
  descriptor.id = info.id();
  copy_text(info.name(), descriptor.name);
  copy_text(info.version(), descriptor.version);
  descriptor.type = type_of(info.type());
  descriptor.state = state_of(info.state());
  descriptor.process_id = info.pid();
  descriptor.limits = limits_of(info);
  descriptor.ipc_endpoint.id = info.id();
  descriptor.ipc_endpoint.generation = info.generation();
  descriptor.load_time = info.load_time_us();
  descriptor.last_activity = info.last_activity_us();
  write_security(info, descriptor.security_context);
  write_metadata(info, descriptor.metadata);
} catch (...) {
  clear(descriptor);
  throw;
}

void write_plugin_info(const v1::PluginInfo& info, plugin_info_t& out) {
  out = {};
  out.id = info.id();
  copy_text(info.name(), out.name);
  copy_text(info.version(), out.version);
  out.type = type_of(info.type());
  out.state = state_of(info.state());
  out.process_id = info.pid();
  out.generation = info.generation();
  out.trust_level = trust_of(info.trust_level());
  copy_text(info.signer(), out.signer);
  copy_text(info.sandbox_level(), out.sandbox_level);
  out.capabilities =
      capabilities_of(info.grant().capabilities(), info.grant().custom_capabilities());
  out.limits = limits_of(info);
  out.load_us = info.load_us();
  out.start_us = info.start_us();
  out.memory_bytes = info.memory_bytes();
  out.cpu_percent = info.cpu_percent();
  out.refusals = info.refusals();
  out.load_time = info.load_time_us();
  out.last_activity = info.last_activity_us();
  copy_text(info.cause(), out.cause);
}

} // namespace mohhos::api::capi
