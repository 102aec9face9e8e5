// load, unload, start, stop, suspend, resume.
#include <memory>

#include "plugctl.hpp"
#include "plugctl_json.hpp"

namespace mohhos::plugctl {
namespace {

using namespace std::chrono_literals;

// Longer than any max_execution_time_ms that a default configuration gives.
constexpr api::Timeout kPatience = 60s;

void report(const Context& context, const v1::PluginInfo& info, std::string_view done) {
  if (context.json()) {
    Json json = envelope();
    write_info(info, json);
    print_json(json);
  } else if (!context.quiet) {
    fmt::print("{}\n", done);
  }
}

std::string loaded_sentence(const v1::PluginInfo& info) {
  return fmt::format("{} {} is {} (id {}, sandbox {}, in {})", info.name(), info.version(),
                     info.state(), info.id(), info.sandbox_level(), human_us(info.load_us()));
}

Result<int> load(const Context& context, const std::string& path, bool start) {
  TRY(const api::Timeout timeout, context.timeout(kPatience));
  TRY(const api::PluginFile file, api::read_plugin_file(path));
  TRY(api::Client client, context.connect());
  TRY(auto info,
      client.call<v1::PluginInfo>(api::Method::Load, file.request, timeout, file.image.get()));
  if (!start) {
    report(context, info, loaded_sentence(info));
    return 0;
  }
  v1::PluginRef ref;
  ref.set_id(info.id());
  TRY(info, client.call<v1::PluginInfo>(api::Method::Start, ref, timeout));
  report(context, info,
         fmt::format("{}; started in {}", loaded_sentence(info), human_us(info.start_us())));
  return 0;
}

void add_load(CLI::App& app, Context& context) {
  struct Options {
    std::string path;
    bool start = false;
  };
  const auto options = std::make_shared<Options>();
  CLI::App& command = add_command(app, "load", "Verify, confine and load a plugin file");
  command.add_option("PATH", options->path, "The .so; its signature is PATH.minisig")->required();
  command.add_flag("--start", options->start, "Start it, too");
  command.callback([&context, options] {
    context.what = fmt::format("load {}", options->path);
    context.run = [&context, options] { return load(context, options->path, options->start); };
  });
}

Result<int> unload(const Context& context, const std::string& plugin, bool force) {
  TRY(const api::Timeout timeout, context.timeout(kPatience));
  TRY(api::Client client, context.connect());
  v1::PluginRef ref = plugin_ref(plugin);
  ref.set_force(force);
  TRY(client.call<v1::Empty>(api::Method::Unload, ref, timeout));
  if (context.json())
    print_json(envelope());
  else if (!context.quiet)
    fmt::print("{} is unloaded\n", plugin);
  return 0;
}

void add_unload(CLI::App& app, Context& context) {
  struct Options {
    std::string plugin;
    bool force = false;
  };
  const auto options = std::make_shared<Options>();
  CLI::App& command = add_command(app, "unload", "End a plugin and forget it");
  command.add_option("PLUGIN", options->plugin, "Name or id")->required();
  command.add_flag("--force", options->force, "Even when it runs, or others depend on it");
  command.callback([&context, options] {
    context.what = fmt::format("unload {}", options->plugin);
    context.run = [&context, options] { return unload(context, options->plugin, options->force); };
  });
}

// The four that take a plugin and answer with it.
struct Operation {
  const char* name;
  const char* help;
  api::Method method;
};
constexpr Operation kOperations[] = {
    {"start", "Start a loaded plugin", api::Method::Start},
    {"stop", "Stop a plugin; it stays loaded", api::Method::Stop},
    {"suspend", "Freeze a running plugin", api::Method::Suspend},
    {"resume", "Let a suspended plugin go on", api::Method::Resume},
};

Result<int> operate(const Context& context, const Operation& operation, const std::string& plugin) {
  TRY(const api::Timeout timeout, context.timeout(kPatience));
  TRY(api::Client client, context.connect());
  TRY(const auto info, client.call<v1::PluginInfo>(operation.method, plugin_ref(plugin), timeout));
  report(context, info, fmt::format("{} is {}", info.name(), info.state()));
  return 0;
}

void add_operation(CLI::App& app, Context& context, const Operation& operation) {
  const auto plugin = std::make_shared<std::string>();
  CLI::App& command = add_command(app, operation.name, operation.help);
  command.add_option("PLUGIN", *plugin, "Name or id")->required();
  command.callback([&context, &operation, plugin] {
    context.what = fmt::format("{} {}", operation.name, *plugin);
    context.run = [&context, &operation, plugin] { return operate(context, operation, *plugin); };
  });
}

} // namespace

void add_lifecycle_commands(CLI::App& app, Context& context) {
  add_load(app, context);
  add_unload(app, context);
  for (const Operation& operation : kOperations) add_operation(app, context, operation);
}

} // namespace mohhos::plugctl
