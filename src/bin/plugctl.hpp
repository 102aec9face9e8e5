// plugctl: one executable, one file per group of commands. Each group adds its subcommands to the
// command line; parsing only picks what runs (Context::run), main runs it and makes the exit code.
//
// Exit codes are base/error's: 0 ok, 1 failed, 2 usage, 3 not running, 4 no such plugin, 5 denied,
// 6 signature or trust, 7 sandbox cannot be built, 8 dependency, 9 incompatible, 10 consent needed,
// 69 daemon unreachable, 124 timed out.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>

#include "api/client.hpp"
#include "model/paths.hpp"

namespace mohhos::plugctl {

struct Context {
  // The global options.
  std::string format = "table";
  std::string socket;
  std::string root;
  std::string timeout_text;
  bool quiet = false;
  bool no_color = false;

  // What the command line asked for. `what` is the middle of the error line.
  std::string what;
  std::function<Result<int>()> run;
  mutable bool asked_daemon = false; // connect() was called

  [[nodiscard]] bool json() const { return format == "json"; }
  // --timeout; `fallback` when it was not given. Invalid names the text. [pure]
  [[nodiscard]] Result<api::Timeout> timeout(api::Timeout fallback = {}) const;
  // --root's layout, else the system's for root and the user's own for everybody else. [any]
  [[nodiscard]] model::Paths paths() const;
  // -H, else --root's, else $MOHHOS_SOCKET and the defaults. [any]
  [[nodiscard]] std::filesystem::path socket_path() const;
  [[nodiscard]] Result<api::Client> connect() const;
  // The text with what this plugctl was told of its daemon (--root, --socket) in every command of
  // plugctl that it names and that needs it: so that it works when it is copied. [any]
  [[nodiscard]] std::string copyable(std::string_view text) const;
};

// "5", "500ms", "2s", "1m"; Invalid names the option. [pure]
[[nodiscard]] Result<std::chrono::milliseconds> parse_duration(std::string_view option,
                                                               const std::string& text);
// "42" is an id, anything else a name. [pure]
[[nodiscard]] v1::PluginRef plugin_ref(const std::string& text);

// A subcommand whose callback sets `run`; global options are understood behind it too.
CLI::App& add_command(CLI::App& parent, const std::string& name, const std::string& help);

void add_lifecycle_commands(CLI::App& app,
                            Context& context);              // load unload start stop suspend resume
void add_look_commands(CLI::App& app, Context& context);    // info list why caps deps status
void add_stream_commands(CLI::App& app, Context& context);  // logs watch
void add_channel_commands(CLI::App& app, Context& context); // channels
void add_call_commands(CLI::App& app, Context& context);    // send call listen
void add_bench_command(CLI::App& app, Context& context);
void add_record_command(CLI::App& app, Context& context);
void add_replay_command(CLI::App& app, Context& context);
void add_deadletter_commands(CLI::App& app, Context& context); // deadletter list show retry drop
void add_trust_commands(CLI::App& app, Context& context);      // key sign verify
void add_manifest_commands(CLI::App& app, Context& context);   // manifest inspect
void add_grant_commands(CLI::App& app, Context& context);      // grant grants
void add_doctor_command(CLI::App& app, Context& context);
void add_author_commands(CLI::App& app, Context& context); // new completion version

} // namespace mohhos::plugctl
