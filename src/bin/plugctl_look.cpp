// info, list, why, caps, deps, status: what is there and how it stands.
#include <memory>

#include "monitor/logs.hpp"
#include "plugctl.hpp"
#include "plugctl_json.hpp"

namespace mohhos::plugctl {
namespace {

using namespace std::chrono_literals;

constexpr api::Timeout kPatience = 10s;

// "key:    value" lines, aligned; what a plugin wrote is escaped.
void print_fields(const std::vector<std::pair<std::string, std::string>>& fields) {
  std::size_t width = 0;
  for (const auto& [key, value] : fields) width = std::max(width, key.size());
  for (const auto& [key, value] : fields)
    if (!value.empty())
      fmt::print("{:<{}}  {}\n", key + ":", width + 1, monitor::escape_controls(value));
}

template <class List>
std::string listed(const List& list) {
  return fmt::format("{}", fmt::join(list, ", "));
}

std::string granted(const v1::Grant& grant) {
  std::string text = listed(grant.capabilities());
  if (grant.custom_capabilities() != 0)
    text += fmt::format("{}custom {:#x}", text.empty() ? "" : ", ", grant.custom_capabilities());
  return text.empty() ? "none" : text;
}

void print_limits(const v1::PluginInfo& info) {
  if (info.limits().empty()) return;
  fmt::print("\n");
  Table table({{"LIMIT"}, {"VALUE", Align::Right}, {"ENFORCED BY"}});
  for (const auto& limit : info.limits())
    table.add({limit.name(), std::to_string(limit.value()), limit.enforced_by()});
  table.print(false);
}

// Of the rings that a plugin sends on.
struct HugePages {
  std::uint64_t ring_bytes = 0;
  std::uint64_t bytes = 0; // of these that lie in huge pages
  bool unknown = false;
};

Result<HugePages> find_huge_pages(api::Client& client, std::uint64_t plugin, api::Timeout timeout) {
  v1::ListChannelsRequest request;
  request.mutable_end()->set_id(plugin);
  TRY(const auto found,
      client.call<v1::ListChannelsResponse>(api::Method::ListChannels, request, timeout));
  HugePages pages;
  for (const auto& channel : found.channels()) {
    if (channel.sender_id() != plugin) continue;
    pages.ring_bytes += channel.ring_bytes();
    pages.bytes += channel.huge_page_bytes();
    pages.unknown |= channel.huge_pages_unknown();
  }
  return pages;
}

std::string words_of(const HugePages& pages) {
  if (pages.unknown) return "asked for; this kernel does not say what is in force";
  return fmt::format("asked for; {} of {} of rings lie in some",
                     pages.bytes == 0 ? "none" : human_bytes(pages.bytes),
                     human_bytes(pages.ring_bytes));
}

void print_info(const Context& context, const v1::PluginInfo& info, const HugePages& huge_pages) {
  std::string depends;
  for (const auto& one : info.depends())
    depends += fmt::format("{}{} ({}{})", depends.empty() ? "" : ", ", one.name(), one.versions(),
                           one.optional() ? ", optional" : "");
  fmt::print("{} {}  {}\n", monitor::escape_controls(info.name()), info.version(),
             paint_state(info.state(), want_color(context.no_color)));
  print_fields({
      {"description", info.description()},
      {"author", info.author()},
      {"type", info.type()},
      {"id", fmt::format("{}, generation {}", info.id(), info.generation())},
      {"pid", info.pid() == 0 ? "" : std::to_string(info.pid())},
      {"cause", info.cause()},
      {"restarts", info.restarts() == 0 ? "" : std::to_string(info.restarts())},
      {"memory", info.pid() == 0 ? "" : human_bytes(info.memory_bytes())},
      {"cpu", info.pid() == 0 ? "" : fmt::format("{:.1f} %", info.cpu_percent())},
      {"huge pages", info.asks_huge_pages() ? words_of(huge_pages) : ""},
      {"loaded", info.load_us() == 0 ? ""
                                     : fmt::format("{}, in {}", human_clock(info.load_time_us()),
                                                   human_us(info.load_us()))},
      {"started", info.start_us() == 0 ? "" : fmt::format("in {}", human_us(info.start_us()))},
      {"signer", fmt::format("{} (trust: {})", info.signer(), info.trust_level())},
      {"sandbox", info.sandbox_level()},
      {"missing", listed(info.missing())},
      {"granted", granted(info.grant())},
      {"read", listed(info.grant().read())},
      {"write", listed(info.grant().write())},
      {"devices", listed(info.grant().devices())},
      {"send to", listed(info.grant().send_to())},
      {"receive from", listed(info.grant().receive_from())},
      {"depends", depends},
      {"refusals", info.refusals() == 0
                       ? ""
                       : fmt::format("{} ({})", info.refusals(),
                                     context.copyable("plugctl why " + info.name()))},
      {"file", info.path()},
      {"sha256", info.sha256()},
  });
  print_limits(info);
}

Result<int> info(const Context& context, const std::string& plugin) {
  TRY(const api::Timeout timeout, context.timeout(kPatience));
  TRY(api::Client client, context.connect());
  TRY(const auto found,
      client.call<v1::PluginInfo>(api::Method::Info, plugin_ref(plugin), timeout));
  TRY(const HugePages huge_pages, find_huge_pages(client, found.id(), timeout));
  if (context.json()) {
    Json json = envelope();
    write_info(found, json);
    json["huge_page_bytes"] = huge_pages.bytes;
    json["huge_pages_unknown"] = huge_pages.unknown;
    print_json(json);
  } else {
    print_info(context, found, huge_pages);
  }
  return 0;
}

Result<int> list(const Context& context, const std::string& type) {
  TRY(const api::Timeout timeout, context.timeout(kPatience));
  TRY(api::Client client, context.connect());
  v1::ListRequest request;
  request.set_type(type);
  TRY(const auto found, client.call<v1::ListResponse>(api::Method::List, request, timeout));
  if (context.json()) {
    Json json = envelope();
    Json& plugins = json["plugins"] = Json::array();
    for (const auto& plugin : found.plugins()) {
      Json one = Json::object();
      write_info(plugin, one);
      plugins.push_back(std::move(one));
    }
    print_json(json);
    return 0;
  }
  Table table({{"ID", Align::Right},
               {"NAME"},
               {"VERSION"},
               {"TYPE"},
               {"STATE"},
               {"PID", Align::Right},
               {"MEMORY", Align::Right},
               {"CPU", Align::Right},
               {"SANDBOX"},
               {"CAUSE"}});
  for (const auto& plugin : found.plugins()) {
    const bool alive = plugin.pid() != 0;
    table.add({std::to_string(plugin.id()), plugin.name(), plugin.version(), plugin.type(),
               plugin.state(), alive ? std::to_string(plugin.pid()) : "-",
               alive ? human_bytes(plugin.memory_bytes()) : "-",
               alive ? fmt::format("{:.1f} %", plugin.cpu_percent()) : "-", plugin.sandbox_level(),
               plugin.state() == "ERROR" || plugin.restarting() ? plugin.cause() : ""});
  }
  if (!found.plugins().empty() || !context.quiet) table.print(want_color(context.no_color));
  return 0;
}

// For completion: one name a line, nothing when there is no daemon.
Result<int> names(const Context& context) {
  auto client = context.connect();
  if (!client) return 0;
  const auto found = client->call<v1::ListResponse>(api::Method::List, v1::ListRequest(), 1s);
  if (!found) return 0;
  for (const auto& plugin : found->plugins()) fmt::print("{}\n", plugin.name());
  return 0;
}

void print_attempt(const Context& context, const v1::Attempt& attempt) {
  const auto text = [](const std::string& from) { return monitor::escape_controls(from); };
  fmt::print("\n{}  {}\n", attempt.allowed() ? "allowed" : "refused", text(attempt.call()));
  if (!attempt.rule().empty()) fmt::print("  rule   {}\n", text(attempt.rule()));
  if (!attempt.hint().empty())
    fmt::print("  {}  {}\n", attempt.allowed() ? "note " : "allow",
               context.copyable(text(attempt.hint())));
  fmt::print("  seen   {}{}, last at {}{}\n", attempt.count(),
             attempt.count() == 1 ? " time" : " times", human_clock(attempt.last_us()),
             attempt.self_reported() ? ", as the plugin's process says" : "");
  if (attempt.instruction() != 0) fmt::print("  code   {:#x}\n", attempt.instruction());
}

Result<int> why(const Context& context, const std::string& plugin) {
  TRY(const api::Timeout timeout, context.timeout(kPatience));
  TRY(api::Client client, context.connect());
  TRY(const auto found,
      client.call<v1::WhyResponse>(api::Method::Why, plugin_ref(plugin), timeout));
  if (context.json()) {
    Json json = envelope();
    Json& one = json["plugin"] = Json::object();
    write_info(found.plugin(), one);
    Json& attempts = json["attempts"] = Json::array();
    for (const auto& attempt : found.attempts()) attempts.push_back(attempt_json(attempt));
    json["lost"] = found.lost();
    print_json(json);
    return 0;
  }
  const v1::PluginInfo& info = found.plugin();
  fmt::print("{} {} is {}, sandbox {}\n", monitor::escape_controls(info.name()), info.version(),
             paint_state(info.state(), want_color(context.no_color)), info.sandbox_level());
  if (!info.cause().empty()) fmt::print("cause: {}\n", monitor::escape_controls(info.cause()));
  if (found.attempts().empty() && found.lost() == 0) fmt::print("nothing was refused\n");
  for (const auto& attempt : found.attempts()) print_attempt(context, attempt);
  if (found.lost() != 0) fmt::print("\nand {} more that found no room\n", found.lost());
  return 0;
}

Result<int> caps(const Context& context, const std::string& plugin, const std::string& capability) {
  TRY(const api::Timeout timeout, context.timeout(kPatience));
  TRY(api::Client client, context.connect());
  v1::CheckCapabilityRequest request;
  *request.mutable_plugin() = plugin_ref(plugin);
  request.set_capability(capability);
  TRY(const auto answer,
      client.call<v1::CheckCapabilityResponse>(api::Method::CheckCapability, request, timeout));
  if (context.json()) {
    Json json = envelope();
    json["capability"] = capability;
    json["granted"] = answer.granted();
    print_json(json);
  } else if (!context.quiet) {
    fmt::print("{}\n", answer.granted() ? "granted" : "not granted");
  }
  return answer.granted() ? 0 : 1;
}

Result<int> deps(const Context& context, const std::string& plugin) {
  TRY(const api::Timeout timeout, context.timeout(kPatience));
  TRY(api::Client client, context.connect());
  TRY(const auto found, client.call<v1::DependencyStatus>(api::Method::CheckDependencies,
                                                          plugin_ref(plugin), timeout));
  if (context.json()) {
    Json json = envelope();
    json["satisfied"] = found.satisfied();
    Json& all = json["dependencies"] = Json::array();
    for (const auto& one : found.dependencies())
      all.push_back({{"name", one.name()},
                     {"versions", one.versions()},
                     {"optional", one.optional()},
                     {"found", one.found()},
                     {"satisfied", one.satisfied()}});
    print_json(json);
  } else {
    Table table({{"NAME"}, {"WANTED"}, {"LOADED"}, {"SATISFIED"}});
    for (const auto& one : found.dependencies())
      table.add({one.name(), one.versions() + (one.optional() ? " (optional)" : ""),
                 one.found().empty() ? "-" : one.found(), one.satisfied() ? "yes" : "no"});
    table.print(want_color(context.no_color));
  }
  return found.satisfied() ? 0 : exit_code(Code::Dependency);
}

Result<int> status(const Context& context) {
  TRY(const api::Timeout timeout, context.timeout(kPatience));
  TRY(api::Client client, context.connect());
  TRY(const auto found, client.call<v1::DaemonStatus>(api::Method::Status, v1::Empty(), timeout));
  if (context.json()) {
    Json json = envelope();
    write_status(found, json);
    print_json(json);
    return 0;
  }
  print_fields({
      {"mohhosd", found.version()},
      {"socket", context.socket_path().native()},
      {"root", found.root()},
      {"up", human_us(found.uptime_us())},
      {"plugins", std::to_string(found.plugins())},
      {"channels", std::to_string(found.channels())},
      {"warden", fmt::format("pid {}", found.warden_pid())},
      {"manager",
       fmt::format("pid {}, restarted {} times", found.manager_pid(), found.manager_restarts())},
      {"mode", found.mode()},
      {"kernel", fmt::format("{}, Landlock ABI {}", found.kernel(), found.landlock_abi())},
      {"limits", found.limits_backend()},
      {"sandbox", fmt::format("{} at best", found.best_level())},
      {"missing", listed(found.missing())},
  });
  return 0;
}

using OnPlugin = Result<int> (*)(const Context&, const std::string&);

void add_on_plugin(CLI::App& app, Context& context, const char* name, const char* help,
                   OnPlugin act) {
  const auto plugin = std::make_shared<std::string>();
  CLI::App& command = add_command(app, name, help);
  command.add_option("PLUGIN", *plugin, "Name or id")->required();
  command.callback([&context, name, act, plugin] {
    context.what = fmt::format("{} {}", name, *plugin);
    context.run = [&context, act, plugin] { return act(context, *plugin); };
  });
}

void add_list(CLI::App& app, Context& context) {
  const auto type = std::make_shared<std::string>();
  CLI::App& command = add_command(app, "list", "All plugins, with state, memory and CPU");
  command.alias("ps");
  command.add_option("--type", *type, "Only plugins of this type");
  command.callback([&context, type] {
    context.what = "list";
    context.run = [&context, type] { return list(context, *type); };
  });
}

void add_caps(CLI::App& app, Context& context) {
  struct Options {
    std::string plugin;
    std::string capability;
  };
  const auto options = std::make_shared<Options>();
  CLI::App& command =
      add_command(app, "caps", "Whether a plugin was granted a capability (exit code 0 or 1)");
  command.add_option("PLUGIN", options->plugin, "Name or id")->required();
  command.add_option("CAPABILITY", options->capability, "can_access_filesystem, …, or custom:BIT")
      ->required();
  command.callback([&context, options] {
    context.what = fmt::format("caps {}", options->plugin);
    context.run = [&context, options] {
      return caps(context, options->plugin, options->capability);
    };
  });
}

} // namespace

void add_look_commands(CLI::App& app, Context& context) {
  add_list(app, context);
  add_on_plugin(app, context, "info", "Everything about one plugin", info);
  add_on_plugin(app, context, "why", "What a plugin tried and was refused, and what would allow it",
                why);
  add_caps(app, context);
  add_on_plugin(app, context, "deps", "How a plugin's dependencies stand", deps);
  CLI::App& command = add_command(app, "status", "The daemon and what this machine gives");
  command.callback([&context] {
    context.what = "status";
    context.run = [&context] { return status(context); };
  });
  CLI::App& hidden = add_command(app, "__names", "");
  hidden.group("");
  hidden.callback([&context] { context.run = [&context] { return names(context); }; });
}

} // namespace mohhos::plugctl
