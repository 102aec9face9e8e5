// plugctl, the command line of mohhosd.
#include "plugctl.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <system_error>
#include <unistd.h>

#include "plugctl_output.hpp"

namespace mohhos::plugctl {
namespace {

struct Unit {
  std::string_view suffix;
  std::int64_t milliseconds;
};
constexpr std::array kUnits = {Unit{"ms", 1}, Unit{"s", 1000}, Unit{"m", 60'000}, Unit{"", 1000}};

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// A word of a shell's command line.
std::string quoted(const std::string& word) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=:,./@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

// Commands of plugctl that ask no daemon: of the second, --root says where its files are.
constexpr std::array<std::string_view, 7> kOfFiles = {"sign",    "verify", "manifest",  "inspect",
                                                      "version", "new",    "completion"};
constexpr std::array<std::string_view, 3> kOfRoot = {"key", "grant", "grants"};

// The directory that a private daemon with this socket was given; nothing: it is not such a one.
std::filesystem::path root_of(const std::filesystem::path& socket) {
  const auto root = socket.parent_path().parent_path().parent_path();
  const bool is_private = root.has_relative_path() && model::paths_under(root).socket() == socket;
  return is_private ? root : std::filesystem::path();
}

void add_global_options(CLI::App& app, Context& context) {
  app.add_option("-o,--format", context.format, "table or json")
      ->check(CLI::IsMember({"table", "json"}));
  app.add_option("-H,--socket", context.socket, "The daemon's control socket");
  app.add_option("--root", context.root,
                 "The directory of a private mohhosd: its socket, keys and grants");
  app.add_option("--timeout", context.timeout_text, "How long to wait: 5, 500ms, 2s, 1m");
  app.add_flag("-q,--quiet", context.quiet, "Say nothing when all went well");
  app.add_flag("--no-color", context.no_color, "No colours (also: NO_COLOR)");
}

int say_error(const Context& context, Error error) {
  // Exit code 4 is 'no such plugin'; what is not found before a daemon was asked is a file.
  if (error.code == Code::NotFound && !context.asked_daemon) error.code = Code::Failed;
  error.text = context.copyable(error.text);
  if (context.json()) {
    Json json = envelope();
    json["error"] = {{"code", code_name(error.code)},
                     {"exit", exit_code(error.code)},
                     {"what", context.what},
                     {"text", error.text}};
    print_json_line(json);
  }
  const std::string what = context.what.empty() ? "" : context.what + ": ";
  fmt::print(stderr, "plugctl: {}\n", escape_lines(what + error.text, "  "));
  return exit_code(error.code);
}

int say_usage(const CLI::App& app, Context& context, const CLI::ParseError& error) {
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) return app.exit(error);
  const auto formats = app.get_option("--format")->results(); // perhaps not taken over yet
  if (!formats.empty()) context.format = formats.back();
  const auto unknown = app.remaining();
  const bool no_command = app.get_subcommands().empty() && !unknown.empty();
  const std::string text =
      no_command ? fmt::format("there is no command '{}'", unknown.front()) : error.what();
  context.what = "usage";
  return say_error(context, {Code::Invalid, text + " (see plugctl --help)"});
}

// What did not get into a full disk or a closed descriptor was not said.
Result<int> run(const Context& context) {
  try { // fmt's exception
    TRY(const int status, context.run());
    TRY(flush_output());
    return status;
  } catch (const std::system_error& error) {
    return fail(Code::Failed, "writing the output: {}", error.code().message());
  } catch (const std::bad_alloc&) {
    return fail(Code::Exhausted, "out of memory");
  }
}

} // namespace

Result<std::chrono::milliseconds> parse_duration(std::string_view option, const std::string& text) {
  std::int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  const std::string_view suffix(stop, static_cast<std::size_t>(end - stop));
  const auto unit = std::ranges::find(kUnits, suffix, &Unit::suffix);
  if (error != std::errc() || number <= 0 || number > 1'000'000'000 || unit == kUnits.end())
    return fail(Code::Invalid, "{} {}: give a number and ms, s or m", option, text);
  return std::chrono::milliseconds(number * unit->milliseconds);
}

Result<api::Timeout> Context::timeout(api::Timeout fallback) const {
  if (timeout_text.empty()) return fallback;
  return parse_duration("--timeout", timeout_text);
}

model::Paths Context::paths() const {
  if (!root.empty()) return model::paths_under(std::filesystem::absolute(root));
  const std::string runtime = variable("XDG_RUNTIME_DIR");
  if (::geteuid() == 0 || runtime.empty()) return model::paths_under("/");
  return model::paths_of_user(runtime, variable("HOME"));
}

std::filesystem::path Context::socket_path() const {
  if (!socket.empty()) return socket;
  return root.empty() ? model::default_socket() : paths().socket();
}

Result<api::Client> Context::connect() const {
  asked_daemon = true;
  return api::Client::connect(socket_path());
}

std::string Context::copyable(std::string_view text) const {
  constexpr std::string_view kName = "plugctl ";
  const auto absolute = [](const std::string& path) {
    return std::filesystem::absolute(path).lexically_normal();
  };
  const auto directory = !root.empty()     ? absolute(root)
                         : !socket.empty() ? root_of(absolute(socket))
                                           : std::filesystem::path();
  const std::string of_root =
      directory.empty() ? "" : fmt::format("--root {} ", quoted(directory.native()));
  std::string of_daemon = of_root;
  if (!socket.empty() && (of_root.empty() || !root.empty()))
    of_daemon = fmt::format("--socket {} ", quoted(absolute(socket).native()));
  std::string copy;
  while (!text.empty()) {
    const std::size_t at = text.find(kName);
    copy += text.substr(0, at);
    if (at == std::string_view::npos) break;
    const bool is_name =
        at == 0 || std::string_view(" ('`").find(text[at - 1]) != std::string_view::npos;
    text.remove_prefix(at + kName.size());
    copy += kName;
    const std::string_view command =
        text.substr(0, text.find_first_not_of("abcdefghijklmnopqrstuvwxyz"));
    if (!is_name || command.empty() || text.find("--root") != std::string_view::npos) continue;
    const auto is_of = [&](const auto& commands) {
      return std::ranges::find(commands, command) != commands.end();
    };
    if (!is_of(kOfFiles)) copy += is_of(kOfRoot) ? of_root : of_daemon;
  }
  return copy;
}

v1::PluginRef plugin_ref(const std::string& text) {
  v1::PluginRef ref;
  std::uint64_t id = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, id);
  if (error == std::errc() && stop == end && id != 0)
    ref.set_id(id);
  else
    ref.set_name(text);
  return ref;
}

CLI::App& add_command(CLI::App& parent, const std::string& name, const std::string& help) {
  CLI::App* command = parent.add_subcommand(name, help);
  command->fallthrough();
  return *command;
}

} // namespace mohhos::plugctl

int main(int argc, char** argv) {
  using namespace mohhos;
  using namespace mohhos::plugctl;
  std::signal(SIGPIPE, SIG_DFL); // plugctl logs -f | head ends quietly
  Context context;
  CLI::App app("Runs native plugins without trusting them: the command line of mohhosd.",
               "plugctl");
  app.require_subcommand(1);
  app.footer("Exit codes: 0 ok, 1 failed, 2 usage, 3 not running, 4 no such plugin, 5 denied, 6 "
             "signature or\n"
             "trust, 7 no sandbox, 8 dependency, 9 incompatible, 10 consent needed, 69 no daemon, "
             "124 timed out.");
  app.set_version_flag("--version", "plugctl " MOHHOS_VERSION);
  add_global_options(app, context);
  add_lifecycle_commands(app, context);
  add_look_commands(app, context);
  add_stream_commands(app, context);
  add_channel_commands(app, context);
  add_call_commands(app, context);
  add_bench_command(app, context);
  add_record_command(app, context);
  add_replay_command(app, context);
  add_deadletter_commands(app, context);
  add_trust_commands(app, context);
  add_manifest_commands(app, context);
  add_grant_commands(app, context);
  add_doctor_command(app, context);
  add_author_commands(app, context);
  try { // CLI11 speaks in exceptions
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return say_usage(app, context, error);
  }
  const auto status = run(context);
  return status ? *status : say_error(context, status.error());
}
