#include "plugctl_json.hpp"

namespace mohhos::plugctl {
namespace {

template <class List>
Json texts(const List& list) {
  Json array = Json::array();
  for (const auto& text : list) array.push_back(text);
  return array;
}

Json acl_json(const v1::Grant& grant) {
  return {{"read", texts(grant.read())},       {"write", texts(grant.write())},
          {"devices", texts(grant.devices())}, {"connect", texts(grant.connect())},
          {"send_to", texts(grant.send_to())}, {"receive_from", texts(grant.receive_from())}};
}

Json limits_json(const v1::PluginInfo& info) {
  Json limits = Json::object();
  for (const auto& limit : info.limits())
    limits[limit.name()] = {{"value", limit.value()}, {"enforced_by", limit.enforced_by()}};
  return limits;
}

Json depends_json(const v1::PluginInfo& info) {
  Json depends = Json::array();
  for (const auto& one : info.depends())
    depends.push_back(
        {{"name", one.name()}, {"versions", one.versions()}, {"optional", one.optional()}});
  return depends;
}

} // namespace

void write_info(const v1::PluginInfo& info, Json& json) {
  json["id"] = info.id();
  json["name"] = info.name();
  json["version"] = info.version();
  json["type"] = info.type();
  json["state"] = info.state();
  json["pid"] = info.pid();
  json["generation"] = info.generation();
  json["signer"] = info.signer();
  json["trust_level"] = info.trust_level();
  json["sandbox_level"] = info.sandbox_level();
  json["walls"] = texts(info.walls());
  json["missing_walls"] = texts(info.missing());
  json["capabilities"] = texts(info.grant().capabilities());
  json["custom_capabilities"] = info.grant().custom_capabilities();
  json["acl"] = acl_json(info.grant());
  json["limits"] = limits_json(info);
  json["depends"] = depends_json(info);
  json["load_us"] = info.load_us();
  json["start_us"] = info.start_us();
  json["memory_bytes"] = info.memory_bytes();
  json["cpu_percent"] = info.cpu_percent();
  json["refusals"] = info.refusals();
  json["restarts"] = info.restarts();
  json["restarting"] = info.restarting();
  json["asks_huge_pages"] = info.asks_huge_pages();
  json["cause"] = info.cause();
  json["load_time_us"] = info.load_time_us();
  json["last_activity_us"] = info.last_activity_us();
  json["description"] = info.description();
  json["author"] = info.author();
  json["api"] = info.api();
  json["path"] = info.path();
  json["sha256"] = info.sha256();
}

Json attempt_json(const v1::Attempt& attempt) {
  return {{"allowed", attempt.allowed()},
          {"self_reported", attempt.self_reported()},
          {"call", attempt.call()},
          {"rule", attempt.rule()},
          {"hint", attempt.hint()},
          {"count", attempt.count()},
          {"first_us", attempt.first_us()},
          {"last_us", attempt.last_us()},
          {"syscall", attempt.syscall()},
          {"path", attempt.path()},
          {"instruction", attempt.instruction()}};
}

Json log_json(const v1::LogEntry& entry) {
  Json json = envelope();
  json["when_us"] = entry.when_us();
  json["plugin"] = entry.plugin();
  json["stream"] = entry.stream();
  json["text"] = entry.text();
  json["dropped"] = entry.dropped();
  return json;
}

Json event_json(const v1::Event& event) {
  Json json = envelope();
  json["when_us"] = event.when_us();
  json["id"] = event.id();
  json["name"] = event.name();
  json["from"] = event.from();
  json["to"] = event.to();
  json["cause"] = event.cause();
  return json;
}

Json channel_json(const v1::ChannelInfo& channel) {
  return {{"id", channel.id()},
          {"lane", channel.lane()},
          {"sender_id", channel.sender_id()},
          {"sender", channel.sender()},
          {"from_application", channel.from_application()},
          {"receiver_id", channel.receiver_id()},
          {"receiver", channel.receiver()},
          {"to_application", channel.to_application()},
          {"ring_bytes", channel.ring_bytes()},
          {"sent", channel.sent()},
          {"acknowledged", channel.acknowledged()},
          {"bytes", channel.bytes()},
          {"depth", channel.depth()},
          {"depth_bytes", channel.depth_bytes()},
          {"high_water_bytes", channel.high_water()},
          {"dropped", channel.dropped()},
          {"refused", channel.refused()},
          {"space_waits", channel.space_waits()},
          {"redelivered", channel.redelivered()},
          {"expired", channel.expired()},
          {"memories", channel.memories()},
          {"asks_huge_pages", channel.asks_huge_pages()},
          {"huge_page_bytes", channel.huge_page_bytes()},
          {"huge_pages_unknown", channel.huge_pages_unknown()},
          {"sleeps", channel.sleeps()},
          {"wakeups", channel.wakeups()},
          {"bells", channel.bells()},
          {"latency_p50_ns", channel.latency_p50_ns()},
          {"latency_p99_ns", channel.latency_p99_ns()},
          {"latency_p999_ns", channel.latency_p999_ns()},
          {"doubt", channel.doubt()}};
}

void write_status(const v1::DaemonStatus& status, Json& json) {
  json["daemon_version"] = status.version();
  json["warden_pid"] = status.warden_pid();
  json["manager_pid"] = status.manager_pid();
  json["manager_restarts"] = status.manager_restarts();
  json["mode"] = status.mode();
  json["kernel"] = status.kernel();
  json["landlock_abi"] = status.landlock_abi();
  json["limits_backend"] = status.limits_backend();
  json["best_level"] = status.best_level();
  json["missing_walls"] = texts(status.missing());
  json["plugins"] = status.plugins();
  json["root"] = status.root();
  json["uptime_us"] = status.uptime_us();
  json["channels"] = status.channels();
}

} // namespace mohhos::plugctl
