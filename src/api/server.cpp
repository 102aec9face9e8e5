#include "api/server.hpp"

#include <array>

#include "api/convert.hpp"
#include "api/server_rows.hpp"
#include "api/utf8.hpp"
#include "mohhos/v1/control.pb.h"
#include "sys/memfd.hpp"

namespace mohhos::api {
namespace {

using manager::Reply;

std::string serialize(const model::PluginInfo& info) {
  v1::PluginInfo message;
  write_info(info, message);
  return message.SerializeAsString();
}

Reply<model::PluginInfo> answer_info(const Responder& responder) {
  return [responder](Result<model::PluginInfo> info) {
    if (info)
      responder.answer(serialize(*info));
    else
      responder.fail(info.error());
  };
}

} // namespace

Result<PluginId> plugin_of(const Manager& manager, const v1::PluginRef& ref) {
  if (ref.id() == 0 && ref.name().empty())
    return fail(Code::Invalid, "the request names no plugin: give its id or its name");
  return manager.resolve(PluginId{ref.id()}, ref.name());
}

Result<PluginId> plugin_or_all(const Manager& manager, const v1::PluginRef& ref) {
  if (ref.id() == 0 && ref.name().empty()) return PluginId{};
  return plugin_of(manager, ref);
}

namespace {

// ---- the methods --------------------------------------------------------------------------------

Result<> load(Manager& manager, Call& call, const Responder& responder) {
  TRY(auto request, parse<v1::LoadRequest>(call.payload));
  if (call.fd) // The manager reads it: it must be memory that nobody can block or change.
    if (const auto sealed = sys::verify_seals(call.fd.get(), sys::kSealedContent); !sealed)
      return fail(Code::Untrusted, "the descriptor beside the request must be a sealed memfd: {}",
                  sealed.error().text);
  if (!call.fd && !request.path().starts_with('/'))
    return fail(Code::Invalid, "the path '{}' is not absolute, and no descriptor came with it",
                request.path());
  manager.load(call.caller,
               {.path = request.path(),
                .image = std::move(call.fd),
                .signature = std::move(*request.mutable_signature())},
               answer_info(responder));
  return {};
}

Result<> unload(Manager& manager, Call& call, const Responder& responder) {
  TRY(const auto ref, parse<v1::PluginRef>(call.payload));
  TRY(const PluginId id, plugin_of(manager, ref));
  manager.unload(call.caller, id, ref.force(), [responder](Result<model::PluginInfo> gone) {
    if (gone)
      responder.answer({});
    else
      responder.fail(gone.error());
  });
  return {};
}

using Operation = void (Manager::*)(const manager::Caller&, PluginId, Reply<model::PluginInfo>);

template <Operation operation>
Result<> operate(Manager& manager, Call& call, const Responder& responder) {
  TRY(const auto ref, parse<v1::PluginRef>(call.payload));
  TRY(const PluginId id, plugin_of(manager, ref));
  (manager.*operation)(call.caller, id, answer_info(responder));
  return {};
}

Result<> info(Manager& manager, Call& call, const Responder& responder) {
  TRY(const auto ref, parse<v1::PluginRef>(call.payload));
  TRY(const PluginId id, plugin_of(manager, ref));
  TRY(const auto found, manager.info(id));
  responder.answer(serialize(found));
  return {};
}

Result<> list(Manager& manager, Call& call, const Responder& responder) {
  TRY(const auto request, parse<v1::ListRequest>(call.payload));
  const auto type = model::parse_type(request.type());
  if (!request.type().empty() && !type)
    return fail(Code::Invalid, "there is no plugin type '{}'", request.type());
  v1::ListResponse response;
  for (const auto& plugin : manager.list())
    if (!type || plugin.metadata.type == *type) write_info(plugin, *response.add_plugins());
  responder.answer(response.SerializeAsString());
  return {};
}

Result<> why(Manager& manager, Call& call, const Responder& responder) {
  TRY(const auto ref, parse<v1::PluginRef>(call.payload));
  TRY(const PluginId id, plugin_of(manager, ref));
  TRY(const auto attempts, manager.attempts(id));
  v1::WhyResponse response;
  write_info(attempts.plugin, *response.mutable_plugin());
  for (const auto& attempt : attempts.entries) write_attempt(attempt, *response.add_attempts());
  response.set_lost(attempts.lost);
  responder.answer(response.SerializeAsString());
  return {};
}

std::string serialize(const manager::LogRecord& record) {
  v1::LogEntry entry;
  entry.set_when_us(record.line.when_us);
  entry.set_plugin(record.plugin);
  entry.set_stream(std::string(monitor::stream_name(record.line.stream)));
  entry.set_text(as_utf8(record.line.text));
  entry.set_dropped(record.line.dropped);
  return entry.SerializeAsString();
}

Result<> logs(Manager& manager, Call& call, const Responder& responder) {
  TRY(const auto request, parse<v1::LogsRequest>(call.payload));
  TRY(const PluginId id, plugin_or_all(manager, request.plugin()));
  for (const auto& record : manager.logs(id, request.tail()))
    if (!responder.send(serialize(record))) return {};
  if (!request.follow()) {
    responder.finish();
    return {};
  }
  // The subscription's callback holds the responder weakly by nature: the stream holds the
  // subscription, and ends it.
  responder.hold(std::make_shared<manager::Subscription>(
      manager.follow_logs(id, [responder](const manager::LogRecord& record) {
        (void)responder.send(serialize(record));
      })));
  return {};
}

std::string serialize(const manager::Event& event) {
  v1::Event message;
  message.set_when_us(event.when_us);
  message.set_id(event.id.value);
  message.set_name(event.name);
  message.set_from(std::string(model::state_name(event.from)));
  message.set_to(std::string(model::state_name(event.to)));
  message.set_cause(as_utf8(event.cause));
  return message.SerializeAsString();
}

Result<> watch(Manager& manager, Call& call, const Responder& responder) {
  TRY(const auto request, parse<v1::WatchRequest>(call.payload));
  TRY(const PluginId id, plugin_or_all(manager, request.plugin()));
  responder.hold(std::make_shared<manager::Subscription>(manager.watch(
      id, [responder](const manager::Event& event) { (void)responder.send(serialize(event)); })));
  return {};
}

Result<> check_capability(Manager& manager, Call& call, const Responder& responder) {
  TRY(const auto request, parse<v1::CheckCapabilityRequest>(call.payload));
  TRY(const PluginId id, plugin_of(manager, request.plugin()));
  TRY(const bool granted, manager.check_capability(id, request.capability()));
  v1::CheckCapabilityResponse response;
  response.set_granted(granted);
  responder.answer(response.SerializeAsString());
  return {};
}

Result<> check_dependencies(Manager& manager, Call& call, const Responder& responder) {
  TRY(const auto ref, parse<v1::PluginRef>(call.payload));
  TRY(const PluginId id, plugin_of(manager, ref));
  TRY(const auto states, manager.check_dependencies(id));
  v1::DependencyStatus response;
  bool satisfied = true;
  for (const auto& state : states) {
    v1::DependencyState* out = response.add_dependencies();
    out->set_name(state.name);
    out->set_versions(model::to_string(state.versions));
    out->set_optional(state.optional);
    if (state.found) out->set_found(model::to_string(*state.found));
    out->set_satisfied(state.satisfied);
    satisfied = satisfied && state.satisfied;
  }
  response.set_satisfied(satisfied);
  responder.answer(response.SerializeAsString());
  return {};
}

Result<> status(Manager& manager, Call&, const Responder& responder) {
  const auto daemon = manager.status();
  v1::DaemonStatus message;
  message.set_version(daemon.version);
  message.set_warden_pid(daemon.warden_pid);
  message.set_manager_pid(daemon.manager_pid);
  message.set_manager_restarts(daemon.manager_restarts);
  message.set_mode(daemon.mode);
  message.set_kernel(daemon.kernel);
  message.set_landlock_abi(daemon.landlock_abi);
  message.set_limits_backend(daemon.limits_backend);
  message.set_best_level(std::string(model::level_name(daemon.best_level)));
  write_walls(daemon.missing, message.mutable_missing());
  message.set_plugins(daemon.plugins);
  message.set_root(as_utf8(daemon.root));
  message.set_uptime_us(daemon.uptime_us);
  message.set_channels(daemon.channels);
  responder.answer(message.SerializeAsString());
  return {};
}

Result<> open_endpoint(Manager& manager, Call& call, const Responder& responder) {
  TRY(const auto request, parse<v1::OpenEndpointRequest>(call.payload));
  TRY(auto opened, manager.open_endpoint(call.caller, request.name()));
  v1::OpenEndpointResponse response;
  response.set_id(opened.id.value);
  responder.answer(response.SerializeAsString(), std::move(opened.link));
  return {};
}

void write_letter(const manager::LetterHead& head, v1::DeadLetter& message) {
  message.set_id(head.id);
  message.set_to(as_utf8(head.to));
  message.set_from(as_utf8(head.from));
  message.set_to_id(head.to_id.value);
  message.set_from_id(head.from_id.value);
  message.set_to_generation(head.to_generation.value);
  message.set_reason(as_utf8(head.reason));
  message.set_deaths(head.deaths);
  message.set_buried_us(head.buried_us);
  message.set_channel(head.channel.value);
  message.set_message_id(head.info.id);
  message.set_type(static_cast<std::uint32_t>(head.info.type));
  message.set_priority(static_cast<std::uint32_t>(head.info.priority));
  message.set_event(head.info.event);
  message.set_from_generation(head.info.generation);
  message.set_correlation(head.info.correlation);
  message.set_size(head.info.size);
}

Result<> list_letters(Manager& manager, Call&, const Responder& responder) {
  manager.dead_letters([responder](const Result<std::vector<manager::LetterHead>>& heads) {
    if (!heads) return responder.fail(heads.error());
    v1::DeadLetterList response;
    for (const auto& head : *heads) write_letter(head, *response.add_letters());
    responder.answer(response.SerializeAsString());
  });
  return {};
}

Result<> show_letter(Manager& manager, Call& call, const Responder& responder) {
  TRY(const auto ref, parse<v1::DeadLetterRef>(call.payload));
  manager.show_letter(call.caller, ref.id(),
                      [responder](const Result<manager::DeadLetter>& letter) {
                        if (!letter) return responder.fail(letter.error());
                        auto payload = sys::make_sealed("mohhos-letter", letter->payload);
                        if (!payload) return responder.fail(payload.error());
                        v1::DeadLetter response;
                        write_letter(letter->head, response);
                        responder.answer(response.SerializeAsString(), *std::move(payload));
                      });
  return {};
}

Result<> retry_letter(Manager& manager, Call& call, const Responder& responder) {
  TRY(const auto ref, parse<v1::DeadLetterRef>(call.payload));
  manager.retry_letter(call.caller, ref.id(), [responder](Result<manager::LetterRetry> retry) {
    if (!retry) return responder.fail(retry.error());
    v1::DeadLetter response;
    write_letter(retry->head, response);
    responder.answer(response.SerializeAsString(), std::move(retry->endpoint.link));
  });
  return {};
}

Result<> drop_letter(Manager& manager, Call& call, const Responder& responder) {
  TRY(const auto ref, parse<v1::DeadLetterRef>(call.payload));
  manager.drop_letter(call.caller, ref.id(), [responder](const Result<>& dropped) {
    if (!dropped) return responder.fail(dropped.error());
    responder.answer({});
  });
  return {};
}

// What a method does. An error here is the answer; otherwise the method answers, now or later.
struct Row {
  Method method;
  Result<> (*run)(Manager&, Call&, const Responder&);
};
constexpr std::array<Row, kMethodCount> kRows = {{
    {Method::Load, load},
    {Method::Unload, unload},
    {Method::Start, operate<&Manager::start>},
    {Method::Stop, operate<&Manager::stop>},
    {Method::Suspend, operate<&Manager::suspend>},
    {Method::Resume, operate<&Manager::resume>},
    {Method::Info, info},
    {Method::List, list},
    {Method::Why, why},
    {Method::Logs, logs},
    {Method::Watch, watch},
    {Method::CheckCapability, check_capability},
    {Method::CheckDependencies, check_dependencies},
    {Method::Status, status},
    {Method::OpenEndpoint, open_endpoint},
    {Method::DeadLetterList, list_letters},
    {Method::DeadLetterShow, show_letter},
    {Method::DeadLetterRetry, retry_letter},
    {Method::DeadLetterDrop, drop_letter},
    {Method::ListChannels, list_channels},
    {Method::TapChannel, tap_channel},
    {Method::OpenReplay, open_replay},
}};

constexpr bool rows_in_order() {
  for (std::size_t i = 0; i < kRows.size(); ++i)
    if (static_cast<std::size_t>(kRows[i].method) != i) return false;
  return true;
}
static_assert(rows_in_order(), "every method has its row, in the order of the enum");

} // namespace

Server::Server(RpcServer transport) : transport_(std::move(transport)) {}
Server::Server(Server&&) noexcept = default;
Server& Server::operator=(Server&&) noexcept = default;
Server::~Server() = default;

Result<Server> Server::open(sys::Loop& loop, sys::Fd listening, manager::Manager& manager) {
  ServerLimits limits;
  limits.connections_per_uid = manager.config().max_connections_per_uid;
  Service service{
      .role_of =
          [&manager](std::uint32_t uid, const std::vector<std::uint32_t>& groups) {
            return manager.role_of(uid, groups);
          },
      .on_denied = [&manager](const manager::Caller& caller, std::string_view method,
                              std::string_view why) { manager.audit_denied(caller, method, why); },
      .dispatch =
          [&manager](Call call, const Responder& responder) {
            const auto done =
                kRows[static_cast<std::size_t>(call.method)].run(manager, call, responder);
            if (!done) responder.fail(done.error());
          }};
  TRY(auto transport, RpcServer::open(loop, std::move(listening), limits, std::move(service)));
  return Server(std::move(transport));
}

} // namespace mohhos::api
