// new, completion, version: texts that plugctl carries inside (plugctl_texts.hpp, made at build
// time).
#include <memory>

#include "plugctl.hpp"
#include "plugctl_output.hpp"
#include "plugctl_texts.hpp"
#include "security/manifest.hpp"
#include "sys/file.hpp"

namespace mohhos::plugctl {
namespace {

// @NAME@ is the plugin's name, @CLASS@ the same as a C++ class: word-count → WordCount.
std::string class_name(std::string_view name) {
  std::string result;
  bool upper = true;
  for (const char c : name) {
    if (c == '-' || c == '_') {
      upper = true;
      continue;
    }
    result += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    upper = false;
  }
  return result.front() >= '0' && result.front() <= '9' ? "Plugin" + result : result;
}

std::string filled(std::string text, std::string_view placeholder, std::string_view value) {
  for (auto at = text.find(placeholder); at != std::string::npos;
       at = text.find(placeholder, at + value.size()))
    text.replace(at, placeholder.size(), value);
  return text;
}

std::string filled_in(std::string_view text, const std::string& name) {
  return filled(filled(std::string(text), "@NAME@", name), "@CLASS@", class_name(name));
}

Result<int> make_new(const Context& context, const std::string& name, const std::string& parent) {
  if (!model::is_plugin_name(name))
    return fail(Code::Invalid,
                "'{}' is not a plugin's name: [a-z0-9][a-z0-9_-]*, at most 63 characters", name);
  const auto directory = std::filesystem::path(parent) / name;
  std::error_code error;
  if (std::filesystem::exists(directory, error))
    return fail(Code::Exists, "{} exists; choose another name or --dir", directory.native());
  TRY(sys::make_directories(directory, 0777));
  Json json = envelope();
  json["directory"] = directory.native();
  Json& files = json["files"] = Json::array();
  for (const Text& text : kTemplates) {
    const auto path = directory / filled_in(text.name, name);
    TRY(sys::replace_file(path, filled_in(text.content, name), 0644));
    files.push_back(path.native());
  }
  if (context.json()) {
    print_json(json);
  } else if (!context.quiet) {
    for (const auto& file : files) fmt::print("{}\n", file.get<std::string>());
    fmt::print("next: cmake -S {0} -B {0}/build && cmake --build {0}/build\n", directory.native());
  }
  return 0;
}

Result<int> version(const Context& context) {
  if (context.json()) {
    Json json = envelope();
    json["plugctl_version"] = MOHHOS_VERSION;
    print_json(json);
  } else {
    fmt::print("plugctl {}\n", MOHHOS_VERSION);
  }
  return 0;
}

} // namespace

void add_author_commands(CLI::App& app, Context& context) {
  struct Options {
    std::string name;
    std::string parent = ".";
  };
  const auto options = std::make_shared<Options>();
  CLI::App& new_command = add_command(app, "new", "Write a plugin that builds and loads");
  new_command.add_option("NAME", options->name, "Its name, and that of its directory")->required();
  new_command.add_option("--dir", options->parent, "Where the directory goes")
      ->capture_default_str();
  new_command.callback([&context, options] {
    context.what = fmt::format("new {}", options->name);
    context.run = [&context, options] { return make_new(context, options->name, options->parent); };
  });

  CLI::App& completion =
      add_command(app, "completion", "Completion for a shell: source <(plugctl completion bash)");
  completion.require_subcommand(1);
  CLI::App& bash = add_command(completion, "bash", "For bash");
  bash.callback([&context] {
    context.what = "completion";
    context.run = []() -> Result<int> {
      fmt::print("{}", kBashCompletion);
      return 0;
    };
  });

  CLI::App& version_command = add_command(app, "version", "The version of plugctl");
  version_command.callback([&context] {
    context.what = "version";
    context.run = [&context] { return version(context); };
  });
}

} // namespace mohhos::plugctl
