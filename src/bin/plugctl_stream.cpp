// logs and watch: what goes on, as it goes on. With -o json one object a line.
#include <memory>

#include "monitor/logs.hpp"
#include "plugctl.hpp"
#include "plugctl_json.hpp"

namespace mohhos::plugctl {
namespace {

void print_log(const v1::LogEntry& entry) {
  if (entry.dropped() != 0)
    fmt::print("… {} lines of {} were lost here\n", entry.dropped(),
               monitor::escape_controls(entry.plugin()));
  fmt::print("{} {} {}: {}\n", human_clock(entry.when_us()),
             monitor::escape_controls(entry.plugin()), entry.stream(),
             monitor::escape_controls(entry.text()));
  std::fflush(stdout);
}

struct LogOptions {
  std::string plugin;
  std::uint32_t tail = 0;
  bool follow = false;
};

Result<int> logs(const Context& context, const LogOptions& options) {
  TRY(const api::Timeout timeout, context.timeout());
  TRY(api::Client client, context.connect());
  v1::LogsRequest request;
  if (!options.plugin.empty()) *request.mutable_plugin() = plugin_ref(options.plugin);
  request.set_tail(options.tail);
  request.set_follow(options.follow);
  TRY(client.stream<v1::LogEntry>(api::Method::Logs, request, timeout,
                                  [&](const v1::LogEntry& entry) {
                                    if (context.json())
                                      print_json_line(log_json(entry));
                                    else
                                      print_log(entry);
                                    return true;
                                  }));
  return 0;
}

void print_event(const v1::Event& event, bool color) {
  fmt::print("{} {} {} -> {}{}{}\n", human_clock(event.when_us()),
             monitor::escape_controls(event.name()), event.from(), paint_state(event.to(), color),
             event.cause().empty() ? "" : ": ", monitor::escape_controls(event.cause()));
  std::fflush(stdout);
}

Result<int> watch(const Context& context, const std::string& plugin) {
  TRY(const api::Timeout timeout, context.timeout());
  TRY(api::Client client, context.connect());
  v1::WatchRequest request;
  if (!plugin.empty()) *request.mutable_plugin() = plugin_ref(plugin);
  const bool color = want_color(context.no_color);
  TRY(client.stream<v1::Event>(api::Method::Watch, request, timeout, [&](const v1::Event& event) {
    if (context.json())
      print_json_line(event_json(event));
    else
      print_event(event, color);
    return true;
  }));
  return 0;
}

} // namespace

void add_stream_commands(CLI::App& app, Context& context) {
  const auto options = std::make_shared<LogOptions>();
  CLI::App& log_command =
      add_command(app, "logs", "What plugins wrote to stdout, stderr and their log");
  log_command.add_option("PLUGIN", options->plugin, "Name or id; all plugins when left out");
  log_command.add_flag("-f,--follow", options->follow, "Go on with what is written from now on");
  log_command.add_option("--tail", options->tail, "Only the last N kept lines");
  log_command.callback([&context, options] {
    context.what = "logs";
    context.run = [&context, options] { return logs(context, *options); };
  });

  const auto plugin = std::make_shared<std::string>();
  CLI::App& watch_command = add_command(app, "watch", "Changes of state, as they happen");
  watch_command.add_option("PLUGIN", *plugin, "Name or id; all plugins when left out");
  watch_command.callback([&context, plugin] {
    context.what = "watch";
    context.run = [&context, plugin] { return watch(context, *plugin); };
  });
}

} // namespace mohhos::plugctl
