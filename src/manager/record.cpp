#include "manager/record.hpp"

#include <algorithm>

#include "mohhos/v1/record.pb.h"
#include "security/manifest.hpp"

namespace mohhos::manager {
namespace {

namespace pb = mohhos::v1;

void put(const model::CapabilitySet& from, pb::Capabilities& to) {
  using model::Capability;
  to.set_can_access_filesystem(from.has(Capability::Filesystem));
  to.set_can_access_network(from.has(Capability::Network));
  to.set_can_access_hardware(from.has(Capability::Hardware));
  to.set_can_create_processes(from.has(Capability::CreateProcesses));
  to.set_can_access_ai_engine(from.has(Capability::AiEngine));
  to.set_can_modify_system_config(from.has(Capability::ModifySystemConfig));
  to.set_custom_capabilities(from.custom);
}

model::CapabilitySet take(const pb::Capabilities& from) {
  using model::Capability;
  model::CapabilitySet to;
  if (from.can_access_filesystem()) to.add(Capability::Filesystem);
  if (from.can_access_network()) to.add(Capability::Network);
  if (from.can_access_hardware()) to.add(Capability::Hardware);
  if (from.can_create_processes()) to.add(Capability::CreateProcesses);
  if (from.can_access_ai_engine()) to.add(Capability::AiEngine);
  if (from.can_modify_system_config()) to.add(Capability::ModifySystemConfig);
  to.custom = from.custom_capabilities();
  return to;
}

void put(const model::Acl& from, pb::Acl& to) {
  to.mutable_read()->Assign(from.read.begin(), from.read.end());
  to.mutable_write()->Assign(from.write.begin(), from.write.end());
  to.mutable_devices()->Assign(from.devices.begin(), from.devices.end());
  to.mutable_connect()->Assign(from.connect.begin(), from.connect.end());
  to.mutable_send_to()->Assign(from.send_to.begin(), from.send_to.end());
  to.mutable_receive_from()->Assign(from.receive_from.begin(), from.receive_from.end());
}

model::Acl take(const pb::Acl& from) {
  const auto list = [](const auto& field) {
    return std::vector<std::string>(field.begin(), field.end());
  };
  return {.read = list(from.read()),
          .write = list(from.write()),
          .devices = list(from.devices()),
          .connect = list(from.connect()),
          .send_to = list(from.send_to()),
          .receive_from = list(from.receive_from())};
}

void put(const model::ResourceLimits& from, pb::Limits& to) {
  to.set_max_memory_mb(from.max_memory_mb);
  to.set_max_cpu_percent(from.max_cpu_percent);
  to.set_max_file_descriptors(from.max_file_descriptors);
  to.set_max_network_connections(from.max_network_connections);
  to.set_max_execution_time_ms(from.max_execution_time_ms);
  to.set_max_processes(from.max_processes);
  to.set_max_tmp_mb(from.max_tmp_mb);
  to.set_max_tmp_files(from.max_tmp_files);
}

model::ResourceLimits take(const pb::Limits& from) {
  return {.max_memory_mb = from.max_memory_mb(),
          .max_cpu_percent = from.max_cpu_percent(),
          .max_file_descriptors = from.max_file_descriptors(),
          .max_network_connections = from.max_network_connections(),
          .max_execution_time_ms = from.max_execution_time_ms(),
          .max_processes = from.max_processes(),
          .max_tmp_mb = from.max_tmp_mb(),
          .max_tmp_files = from.max_tmp_files()};
}

void put(const model::Refusal& from, pb::AttemptRecord& to) {
  to.set_allowed(from.verdict == model::Verdict::Allowed);
  to.set_self_reported(from.self_reported);
  to.set_syscall(from.syscall);
  to.mutable_arguments()->Assign(from.arguments.begin(), from.arguments.end());
  to.set_instruction(from.instruction);
  to.set_path(from.path);
  to.set_count(from.count);
  to.set_first_us(from.first_us);
  to.set_last_us(from.last_us);
}

model::Refusal take(const pb::AttemptRecord& from) {
  model::Refusal to;
  to.verdict = from.allowed() ? model::Verdict::Allowed : model::Verdict::Refused;
  to.self_reported = from.self_reported();
  to.syscall = from.syscall();
  const auto count =
      std::min<std::size_t>(to.arguments.size(), static_cast<std::size_t>(from.arguments_size()));
  std::copy_n(from.arguments().begin(), count, to.arguments.begin());
  to.instruction = from.instruction();
  to.path = from.path();
  to.count = from.count();
  to.first_us = from.first_us();
  to.last_us = from.last_us();
  return to;
}

void put(const SavedRestart& from, pb::RestartRecord& to) {
  to.set_under_way(from.under_way);
  to.set_waiting(from.waiting);
  to.set_goal(static_cast<std::uint32_t>(from.goal));
  to.set_cause(from.cause);
  to.set_total(from.history.total);
  to.set_in_a_row(from.history.in_a_row);
  if (from.history.standing_since)
    to.set_standing_since_ns(from.history.standing_since->time_since_epoch().count());
  to.set_fell_from(static_cast<std::uint32_t>(from.fell_from));
  for (const ipc::Suspect& suspect : from.suspects) {
    pb::SuspectRecord& one = *to.add_suspects();
    one.set_channel(suspect.channel);
    one.set_position(suspect.position);
    one.set_deaths(suspect.deaths);
  }
}

Result<SavedRestart> take(const pb::RestartRecord& from) {
  SavedRestart to;
  if (from.goal() >= model::kStateCount || from.fell_from() >= model::kStateCount)
    return fail(Code::Malformed, "a plugin's record with goal {} and state {} before it fell",
                from.goal(), from.fell_from());
  to.under_way = from.under_way();
  to.waiting = from.waiting();
  to.goal = static_cast<model::State>(from.goal());
  if (to.under_way && !lifecycle::goal_of(to.goal))
    return fail(Code::Malformed, "a plugin's record with {} as the goal of a restart",
                model::state_name(to.goal));
  to.cause = from.cause();
  to.history.total = from.total();
  to.history.in_a_row = from.in_a_row();
  if (from.standing_since_ns() > 0)
    to.history.standing_since = Monotonic(std::chrono::nanoseconds(from.standing_since_ns()));
  to.fell_from = static_cast<model::State>(from.fell_from());
  for (const pb::SuspectRecord& one : from.suspects())
    to.suspects.push_back({one.channel(), one.position(), one.deaths()});
  return to;
}

template <class Message>
Result<Message> parse(std::span<const std::byte> bytes) {
  Message message;
  if (bytes.size() > INT32_MAX ||
      !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return fail(Code::Malformed, "a record of {} bytes that is none", bytes.size());
  return message;
}

} // namespace

std::string serialize(const SavedPlugin& plugin) {
  const model::PluginInfo& info = plugin.info;
  pb::PluginRecord record;
  record.set_id(info.id.value);
  record.set_generation(info.generation.value);
  record.set_state(static_cast<std::uint32_t>(info.state));
  record.set_path(info.path);
  record.set_signature(plugin.signature);
  record.set_load_us(info.load_us);
  record.set_start_us(info.start_us);
  record.set_load_time_us(info.load_time_us);
  record.set_last_activity_us(info.last_activity_us);
  record.set_cause(info.cause);
  put(info.grant.capabilities, *record.mutable_capabilities());
  put(info.grant.acl, *record.mutable_acl());
  put(info.grant.limits, *record.mutable_limits());
  for (const auto& [key, value] : info.grant.config) (*record.mutable_config())[key] = value;
  record.set_manifest(plugin.manifest);
  record.set_signer(info.signer);
  record.set_trust(static_cast<std::uint32_t>(info.trust));
  record.set_sha256(info.sha256);
  record.set_pending(static_cast<std::uint32_t>(plugin.pending));
  record.set_sequence(plugin.sequence);
  for (const model::Refusal& attempt : plugin.attempts) put(attempt, *record.add_attempts());
  record.set_attempts_lost(plugin.attempts_lost);
  put(plugin.restart, *record.mutable_restart());
  return record.SerializeAsString();
}

Result<SavedPlugin> parse_plugin_record(std::span<const std::byte> bytes) {
  TRY(const pb::PluginRecord record, parse<pb::PluginRecord>(bytes));
  if (record.id() == 0 || record.generation() == 0)
    return fail(Code::Malformed, "a plugin's record without id or generation");
  if (record.state() >= model::kStateCount)
    return fail(Code::Malformed, "a plugin's record with state {}", record.state());
  if (record.trust() > static_cast<std::uint32_t>(model::TrustLevel::System))
    return fail(Code::Malformed, "a plugin's record with trust level {}", record.trust());
  if (record.pending() > static_cast<std::uint32_t>(ipc::Operation::Configure))
    return fail(Code::Malformed, "a plugin's record with operation {}", record.pending());
  SavedPlugin plugin;
  TRY(plugin.info.metadata, security::parse_manifest(std::as_bytes(std::span(record.manifest()))));
  plugin.info.id = {record.id()};
  plugin.info.generation = {record.generation()};
  plugin.info.state = static_cast<model::State>(record.state());
  plugin.info.path = record.path();
  plugin.signature = record.signature();
  plugin.info.load_us = record.load_us();
  plugin.info.start_us = record.start_us();
  plugin.info.load_time_us = record.load_time_us();
  plugin.info.last_activity_us = record.last_activity_us();
  plugin.info.cause = record.cause();
  plugin.info.grant = {take(record.capabilities()),
                       take(record.acl()),
                       take(record.limits()),
                       {record.config().begin(), record.config().end()}};
  plugin.manifest = record.manifest();
  plugin.info.signer = record.signer();
  plugin.info.trust = static_cast<model::TrustLevel>(record.trust());
  plugin.info.sha256 = record.sha256();
  plugin.pending = static_cast<ipc::Operation>(record.pending());
  plugin.sequence = record.sequence();
  for (const pb::AttemptRecord& attempt : record.attempts())
    plugin.attempts.push_back(take(attempt));
  plugin.attempts_lost = record.attempts_lost();
  TRY(plugin.restart, take(record.restart()));
  return plugin;
}

std::string serialize(const SavedManager& manager) {
  pb::ManagerRecord record;
  record.set_next_plugin_id(manager.next_id);
  record.set_started_us(manager.started_us);
  record.set_life(manager.life);
  record.set_broker(manager.broker.data(), manager.broker.size());
  record.set_memories(manager.memories.data(), manager.memories.size());
  for (const SavedEndpoint& endpoint : manager.endpoints) {
    pb::EndpointRecord& one = *record.add_endpoints();
    one.set_id(endpoint.id.value);
    one.set_name(endpoint.name);
    one.set_uid(endpoint.uid);
    one.set_delivers_to(endpoint.delivers_to);
  }
  for (const TapWish& wish : manager.taps) {
    pb::TapWishRecord& one = *record.add_taps();
    one.set_recorder(wish.recorder.value);
    one.set_channel(wish.channel.value);
    one.set_sender(wish.sender);
    one.set_receiver(wish.receiver);
  }
  return record.SerializeAsString();
}

Result<SavedManager> parse_manager_record(std::span<const std::byte> bytes) {
  TRY(const pb::ManagerRecord record, parse<pb::ManagerRecord>(bytes));
  SavedManager manager{.next_id = record.next_plugin_id(),
                       .started_us = record.started_us(),
                       .life = record.life(),
                       .broker = {},
                       .endpoints = {},
                       .taps = {}};
  const auto broker = std::as_bytes(std::span(record.broker()));
  manager.broker.assign(broker.begin(), broker.end());
  const auto memories = std::as_bytes(std::span(record.memories()));
  manager.memories.assign(memories.begin(), memories.end());
  for (const pb::EndpointRecord& one : record.endpoints())
    manager.endpoints.push_back({PluginId{one.id()}, one.name(), one.uid(), one.delivers_to()});
  for (const pb::TapWishRecord& one : record.taps())
    manager.taps.push_back(
        {PluginId{one.recorder()}, ChannelId{one.channel()}, one.sender(), one.receiver()});
  return manager;
}

} // namespace mohhos::manager
