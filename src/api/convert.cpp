#include "api/convert.hpp"

#include "api/utf8.hpp"

namespace mohhos::api {
namespace {

template <class List>
void write_texts(const std::vector<std::string>& from, List* to) {
  for (const std::string& text : from) *to->Add() = as_utf8(text);
}

void write_capabilities(const model::CapabilitySet& set,
                        google::protobuf::RepeatedPtrField<std::string>& names) {
  for (const model::Capability capability : model::kCapabilities)
    if (set.has(capability)) *names.Add() = std::string(model::capability_name(capability));
}

void write_grant(const model::Grant& grant, v1::Grant& message) {
  write_capabilities(grant.capabilities, *message.mutable_capabilities());
  message.set_custom_capabilities(grant.capabilities.custom);
  write_texts(grant.acl.read, message.mutable_read());
  write_texts(grant.acl.write, message.mutable_write());
  write_texts(grant.acl.devices, message.mutable_devices());
  write_texts(grant.acl.connect, message.mutable_connect());
  write_texts(grant.acl.send_to, message.mutable_send_to());
  write_texts(grant.acl.receive_from, message.mutable_receive_from());
}

void write_limits(const model::PluginInfo& info, v1::PluginInfo& message) {
  for (const model::LimitInForce& limit : info.limits) {
    v1::Limit* out = message.add_limits();
    out->set_name(limit.name);
    out->set_value(limit.value);
    out->set_enforced_by(limit.enforced_by);
  }
}

void write_metadata(const model::Metadata& metadata, v1::PluginInfo& message) {
  message.set_name(metadata.name);
  message.set_version(model::to_string(metadata.version));
  message.set_type(std::string(model::type_name(metadata.type)));
  message.set_description(as_utf8(metadata.description));
  message.set_author(as_utf8(metadata.author));
  message.set_api(metadata.required_api_version);
  for (const model::Dependency& dependency : metadata.dependencies) {
    v1::DependencyRange* out = message.add_depends();
    out->set_name(dependency.name);
    out->set_versions(model::to_string(dependency.versions));
    out->set_optional(dependency.optional);
    constexpr model::VersionRange kAny;
    if (dependency.versions.min != kAny.min)
      out->set_min(model::to_string(dependency.versions.min));
    if (dependency.versions.max != kAny.max)
      out->set_max(model::to_string(dependency.versions.max));
  }
  message.set_os(metadata.platform.os);
  message.set_machine(metadata.platform.machine);
  if (metadata.platform.min_kernel != model::Version{})
    message.set_min_kernel(model::to_string(metadata.platform.min_kernel));
  message.set_min_sandbox_level(std::string(model::level_name(metadata.min_sandbox_level)));
  write_capabilities(metadata.capabilities, *message.mutable_requested_capabilities());
  message.set_requested_custom_capabilities(metadata.capabilities.custom);
}

} // namespace

void write_walls(model::WallSet walls, google::protobuf::RepeatedPtrField<std::string>* to) {
  for (unsigned i = 0; i < model::kWallCount; ++i) {
    const auto wall = static_cast<model::Wall>(i);
    if ((walls & model::wall_bit(wall)) != 0) *to->Add() = std::string(model::wall_name(wall));
  }
}

std::string_view trust_name(model::TrustLevel level) noexcept {
  switch (level) {
  case model::TrustLevel::None: return "none";
  case model::TrustLevel::Community: return "community";
  case model::TrustLevel::Verified: return "verified";
  case model::TrustLevel::System: return "system";
  }
  return "none";
}

void write_info(const model::PluginInfo& info, v1::PluginInfo& message) {
  write_metadata(info.metadata, message);
  message.set_asks_huge_pages(info.metadata.channels.huge_pages);
  message.set_id(info.id.value);
  message.set_state(std::string(model::state_name(info.state)));
  message.set_pid(info.pid);
  message.set_generation(info.generation.value);
  message.set_signer(info.signer);
  message.set_trust_level(std::string(trust_name(info.trust)));
  message.set_sandbox_level(std::string(model::level_name(info.level)));
  write_walls(info.walls, message.mutable_walls());
  constexpr model::WallSet kAll = (model::WallSet{1} << model::kWallCount) - 1;
  // A plugin without a process has no walls, and misses none.
  if (info.walls != 0) write_walls(kAll & ~info.walls, message.mutable_missing());
  write_grant(info.grant, *message.mutable_grant());
  write_limits(info, message);
  message.set_load_us(info.load_us);
  message.set_start_us(info.start_us);
  message.set_memory_bytes(info.memory_bytes);
  message.set_cpu_percent(info.cpu_percent);
  message.set_cause(as_utf8(info.cause));
  message.set_load_time_us(info.load_time_us);
  message.set_last_activity_us(info.last_activity_us);
  message.set_refusals(info.refusals);
  message.set_restarts(info.restarts);
  message.set_restarting(info.restarting);
  message.set_path(as_utf8(info.path));
  message.set_sha256(info.sha256);
}

void write_attempt(const model::Refusal& refusal, v1::Attempt& message) {
  message.set_allowed(refusal.verdict == model::Verdict::Allowed);
  message.set_self_reported(refusal.self_reported);
  message.set_call(as_utf8(refusal.call));
  message.set_rule(as_utf8(refusal.rule));
  message.set_hint(as_utf8(refusal.hint));
  message.set_count(refusal.count);
  message.set_first_us(refusal.first_us);
  message.set_last_us(refusal.last_us);
  message.set_syscall(refusal.syscall);
  message.set_path(as_utf8(refusal.path));
  message.set_instruction(refusal.instruction);
}

} // namespace mohhos::api
