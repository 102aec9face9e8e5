// grant and grants: what the operator allows, in <etc>/grants.d/<plugin>.toml. No daemon is asked;
// a plugin gets what is written here when it is loaded.
#include <algorithm>
#include <charconv>
#include <memory>

#include "plugctl.hpp"
#include "plugctl_output.hpp"
#include "security/manifest.hpp"
#include "security/policy.hpp"
#include "sys/file.hpp"

namespace mohhos::plugctl {
namespace {

struct GrantOptions {
  std::string plugin;
  security::GrantRequest request;
  std::vector<std::string> settings; // key=value
  std::vector<std::string> limits;   // max_memory_mb=32
};

Result<std::pair<std::string, std::string>> split(const std::string& text) {
  const auto equals = text.find('=');
  if (equals == 0 || equals == std::string::npos)
    return fail(Code::Invalid, "'{}' is not KEY=VALUE", text);
  return std::pair(text.substr(0, equals), text.substr(equals + 1));
}

Result<std::uint64_t> parse_number(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    return fail(Code::Invalid, "'{}' is not a number", text);
  return value;
}

Result<> check_name(const std::string& plugin) {
  if (model::is_plugin_name(plugin)) return {};
  return fail(Code::Invalid,
              "'{}' is not a plugin's name: [a-z0-9][a-z0-9_-]*, at most 63 characters", plugin);
}

Result<int> grant(const Context& context, const GrantOptions& options) {
  TRY(check_name(options.plugin));
  security::GrantRequest request = options.request;
  for (const auto& text : options.settings) {
    TRY(auto setting, split(text));
    request.config.push_back(std::move(setting));
  }
  for (const auto& text : options.limits) {
    TRY(const auto limit, split(text));
    TRY(request.limits[limit.first], parse_number(limit.second));
  }
  const auto directory = context.paths().grants();
  TRY(sys::make_directories(directory, 0755));
  TRY(const auto policy, security::update_policy(directory, options.plugin, request));
  if (context.json()) {
    Json json = envelope();
    json["plugin"] = options.plugin;
    json["file"] = policy.file.native();
    print_json(json);
  } else if (!context.quiet) {
    fmt::print("{}:\n{}", policy.file.native(), security::render_policy(policy));
  }
  return 0;
}

Json policy_json(const std::string& plugin, const security::OperatorPolicy& policy) {
  Json json = {{"plugin", plugin}, {"file", policy.file.native()}};
  Json& capabilities = json["capabilities"] = Json::array();
  for (const auto capability : model::kCapabilities)
    if (policy.capabilities.has(capability))
      capabilities.push_back(model::capability_name(capability));
  json["custom_capabilities"] = policy.capabilities.custom;
  json["read"] = policy.read;
  json["write"] = policy.write;
  json["devices"] = policy.devices;
  json["config"] = policy.config;
  Json& limits = json["limits"] = Json::object();
  for (const auto& [name, value] : policy.limits) limits[name] = value;
  return json;
}

// The plugins that have a file; none when the directory is absent.
std::vector<std::string> plugins_with_grants(const std::filesystem::path& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (auto entry = std::filesystem::directory_iterator(directory, error);
       !error && entry != std::filesystem::directory_iterator(); entry.increment(error))
    if (entry->path().extension() == ".toml" &&
        model::is_plugin_name(entry->path().stem().native()))
      names.push_back(entry->path().stem().native());
  std::sort(names.begin(), names.end());
  return names;
}

Result<int> grants(const Context& context, const std::string& plugin) {
  const auto directory = context.paths().grants();
  if (!plugin.empty()) TRY(check_name(plugin));
  const auto names = plugin.empty() ? plugins_with_grants(directory) : std::vector{plugin};
  Json json = envelope();
  Json& all = json["grants"] = Json::array();
  for (const auto& name : names) {
    TRY(const auto policy, security::read_policy(directory, name));
    all.push_back(policy_json(name, policy));
    if (!context.json())
      fmt::print("# {}\n{}\n", policy.file.native(), security::render_policy(policy));
  }
  if (context.json())
    print_json(json);
  else if (names.empty() && !context.quiet)
    fmt::print("nothing is granted in {}\n", directory.native());
  return 0;
}

} // namespace

void add_grant_commands(CLI::App& app, Context& context) {
  const auto options = std::make_shared<GrantOptions>();
  CLI::App& command =
      add_command(app, "grant", "Allow a plugin more; it counts from its next load");
  auto& request = options->request;
  command.add_option("NAME", options->plugin, "The plugin's name")->required();
  command.add_option("--capability", request.capabilities, "can_access_filesystem, …, custom:BIT")
      ->allow_extra_args(false);
  command.add_option("--read", request.read, "Paths below this one, for reading")
      ->allow_extra_args(false);
  command.add_option("--write", request.write, "Paths below this one, for reading and writing")
      ->allow_extra_args(false);
  command.add_option("--device", request.devices, "Device nodes below this path")
      ->allow_extra_args(false);
  command.add_option("--set", options->settings, "KEY=VALUE of the plugin's configuration")
      ->allow_extra_args(false);
  command.add_option("--limit", options->limits, "LIMIT=NUMBER, lower than the manifest's")
      ->allow_extra_args(false);
  command.callback([&context, options] {
    context.what = fmt::format("grant {}", options->plugin);
    context.run = [&context, options] { return grant(context, *options); };
  });

  const auto plugin = std::make_shared<std::string>();
  CLI::App& list_command = add_command(app, "grants", "What is granted, to all plugins or to one");
  list_command.add_option("NAME", *plugin, "The plugin's name");
  list_command.callback([&context, plugin] {
    context.what = "grants";
    context.run = [&context, plugin] { return grants(context, *plugin); };
  });
}

} // namespace mohhos::plugctl
