// What endpoints say on their links: plugins' answers, log lines and last words, and what any
// endpoint asks of the broker. Everything here comes from a stranger; the codec has checked its
// form, nothing else.
#include <algorithm>
#include <array>

#include <spdlog/spdlog.h>

#include "manager/parts.hpp"
#include "sandbox/explain.hpp"
#include "sys/socket.hpp"

namespace mohhos::manager {
namespace {

constexpr std::array kLevels = {monitor::Stream::Error, monitor::Stream::Warning,
                                monitor::Stream::Info, monitor::Stream::Debug};

constexpr std::size_t kLongestEndpointName = 63;
// Endpoints of one user: each costs a line of the audit log, and the record is written anew.
constexpr double kEndpointsPerSecond = 50;
constexpr double kEndpointsSaved = 500;
// From the end of its link to the end of a process that exits.
constexpr std::chrono::milliseconds kExitGrace{200};

} // namespace

Result<> Manager::Parts::attach(Plugin& plugin, sys::Fd link, sys::Fd out, sys::Fd err) {
  const PluginId id = plugin.info.id;
  TRY(plugin.link, LinkPort::open(
                       loop, std::move(link),
                       [this, id](const ipc::LinkRecord& record) { on_record(id, record); },
                       [this, id](const Error& why) { on_link_end(id, why); }));
  const auto lines_of = [this, id](monitor::Stream stream) {
    return [this, id, stream](std::string_view text) {
      on_log_line(id, {wall_clock_us(), stream, std::string(text), 0});
    };
  };
  TRY(plugin.out, LogPipe::open(loop, std::move(out), lines_of(monitor::Stream::Stdout)));
  TRY(plugin.err, LogPipe::open(loop, std::move(err), lines_of(monitor::Stream::Stderr)));
  return {};
}

void Manager::Parts::on_record(PluginId id, const ipc::LinkRecord& record) {
  Plugin* plugin = find(id);
  if (plugin == nullptr) return;
  if (serve_broker(id, record)) return;
  switch (record.type()) {
  case ipc::LinkType::Done: return on_done(*plugin, record.as<ipc::Done>(), record.header.sequence);
  case ipc::LinkType::LogLine: {
    const auto line = record.as<ipc::LogLine>();
    const auto level = std::min<std::size_t>(line.level, kLevels.size() - 1);
    return on_log_line(id, {wall_clock_us(), kLevels[level], line.text, line.dropped});
  }
  case ipc::LinkType::Refused: return on_refused_call(*plugin, record.as<ipc::RefusedCall>());
  case ipc::LinkType::LastWords: {
    const auto words = record.as<ipc::LastWords>();
    if (!plugin->death.words)
      plugin->death.words = LastWords{static_cast<LastWordsKind>(words.kind), words.value,
                                      monitor::escape_controls(words.text)};
    return;
  }
  default: return;
  }
}

void Manager::Parts::on_link_end(PluginId id, const Error& why) {
  Plugin* plugin = find(id);
  if (plugin == nullptr || !plugin->process) return;
  if (why.code != Code::Unreachable)
    return fail_plugin(*plugin, lifecycle::Event::Failed, Code::PluginFailed,
                       fmt::format("it broke the protocol of its link: {}", why.text));
  if (plugin->info.pid == 0) return;
  // Nearly always it is dying, and how it dies is about to be known; one that lives on without a
  // link is of no use.
  warden::Target target{.plugin_id = id.value, .generation = plugin->info.generation.value};
  target.header.type = warden::MessageType::Kill;
  auto grace = loop.after(kExitGrace, [this, target] {
    Plugin* lingering = find_process(target);
    if (lingering == nullptr) return;
    lingering->death.link = "the plugin closed it";
    warden->send(target);
  });
  if (grace)
    plugin->link_grace = std::move(*grace);
  else
    warden->send(target);
}

void Manager::Parts::on_log_line(PluginId id, monitor::LogLine line) {
  Plugin* plugin = find(id);
  if (plugin == nullptr) return;
  if (!plugin->logs.add(std::move(line), loop.now())) return;
  if (log_followers.empty()) return;
  tell(LogRecord{id, plugin->info.metadata.name, plugin->logs.lines().back()});
}

void Manager::Parts::on_refused_call(Plugin& plugin, const ipc::RefusedCall& call) {
  model::Refusal refusal;
  refusal.self_reported = true;
  refusal.syscall = call.syscall;
  std::copy(std::begin(call.arguments), std::end(call.arguments), refusal.arguments.begin());
  refusal.instruction = call.instruction;
  refusal.first_us = refusal.last_us = wall_clock_us();
  const std::string& name = plugin.info.metadata.name;
  sandbox::put_into_words(refusal, name, plugin.info.grant.capabilities);
  const std::string text = refusal.call;
  const std::string rule = refusal.rule;
  if (plugin.attempts.add(std::move(refusal)))
    audit.append("refused", {{"plugin", std::string_view(name)},
                             {"id", plugin.info.id.value},
                             {"call", std::string_view(text)},
                             {"rule", std::string_view(rule)},
                             {"self_reported", true}});
}

Result<> Manager::Parts::may_open_endpoint(const Caller& caller) {
  if (shutting_down) return fail(Code::BadState, "mohhosd is shutting down");
  const auto held = std::ranges::count_if(
      endpoints, [&](const auto& one) { return one.second.uid == caller.uid; });
  if (static_cast<std::uint32_t>(held) >= setup.config.max_endpoints_per_uid)
    return fail(Code::Exhausted,
                "uid {} has {} endpoints open, and [control] max_endpoints_per_uid allows no more",
                caller.uid, held);
  const auto now = loop.now();
  if (!openings.contains(caller.uid)) // else users who come once would be remembered for ever
    std::erase_if(openings, [&](const auto& one) { return one.second.budget.full(now); });
  const auto [found, is_new] = openings.try_emplace(
      caller.uid, Openings{.budget = {kEndpointsPerSecond, kEndpointsSaved, now}});
  Openings& so_far = found->second;
  if (so_far.budget.take(now)) {
    so_far.refused = false;
    return {};
  }
  auto refused =
      fail(Code::Exhausted,
           "uid {} opens endpoints too often: {} a second are allowed, and {} at once; wait a "
           "moment, or keep one open",
           caller.uid, kEndpointsPerSecond, kEndpointsSaved);
  if (!std::exchange(so_far.refused, true))
    audit.append("endpoints-refused", {{"uid", std::uint64_t{caller.uid}},
                                       {"pid", std::int64_t{caller.pid}},
                                       {"text", std::string_view(refused.error().text)}});
  return refused;
}

Result<OpenedEndpoint> Manager::Parts::open_endpoint(const Caller& caller, std::string_view name,
                                                     std::string delivers_to) {
  TRY(may_open_endpoint(caller));
  TRY(sys::SocketPair pair, sys::make_seqpacket_pair());
  Endpoint endpoint;
  endpoint.id = {next_id++};
  endpoint.name =
      monitor::escape_controls(name.empty() ? "application" : name).substr(0, kLongestEndpointName);
  endpoint.uid = caller.uid;
  endpoint.delivers_to = std::move(delivers_to);
  const PluginId id = endpoint.id;
  TRY(keep(id, warden::KeepKind::Link, 0, pair.first.get()));
  TRY(attach_endpoint(std::move(endpoint), std::move(pair.first)));
  save_manager();
  ipc::Welcome welcome;
  welcome.own_id = id.value;
  endpoints.at(id).link->send(welcome);
  execute(broker.join(party_of(endpoints.at(id))));
  audit.append("endpoint", {{"id", id.value},
                            {"name", std::string_view(endpoints.at(id).name)},
                            {"uid", std::uint64_t{caller.uid}},
                            {"pid", std::int64_t{caller.pid}}});
  return OpenedEndpoint{id, std::move(pair.second)};
}

Result<> Manager::Parts::attach_endpoint(Endpoint endpoint, sys::Fd link) {
  const PluginId id = endpoint.id;
  // Its end comes from inside the link's own callback: it is forgotten on the next turn.
  TRY(endpoint.link, LinkPort::open(
                         loop, std::move(link),
                         [this, id](const ipc::LinkRecord& record) { serve_broker(id, record); },
                         [this, id](const Error&) { later([this, id] { on_endpoint_end(id); }); }));
  endpoints.emplace(id, std::move(endpoint));
  return {};
}

void Manager::Parts::on_endpoint_end(PluginId id) {
  execute(broker.leave(id));
  endpoints.erase(id);
  report_budgets.erase(id);
  std::erase_if(tap_wishes, [id](const TapWish& wish) { return wish.recorder == id; });
  warden->send(warden::Forget{.plugin_id = id.value});
  save_manager();
}

} // namespace mohhos::manager
