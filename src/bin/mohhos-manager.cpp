// mohhos-manager: started by mohhosd, never by hand (but for --check-config). Builds its objects in
// the order in which one needs the other, takes its own rights away, and runs the loop.
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

#include <fcntl.h>
#include <getopt.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "api/server.hpp"
#include "manager/config.hpp"
#include "manager/harden.hpp"
#include "manager/manager.hpp"
#include "security/keyring.hpp"
#include "security/policy.hpp"
#include "security/trust.hpp"
#include "sys/loop.hpp"
#include "warden/protocol.hpp"

namespace {

using namespace mohhos;

constexpr int kUsage = 2;

struct Options {
  std::optional<std::string> root;
  bool check_config = false;
};

std::optional<Options> parse_options(int argc, char** argv) {
  constexpr std::array<option, 3> kOptions = {
      {{"root", required_argument, nullptr, 'r'}, {"check-config", no_argument, nullptr, 'c'}, {}}};
  Options options;
  for (;;) {
    switch (::getopt_long(argc, argv, "", kOptions.data(), nullptr)) {
    case 'r': options.root = optarg; continue;
    case 'c': options.check_config = true; continue;
    case -1: return options;
    default: return std::nullopt;
    }
  }
}

Result<model::Paths> paths_for(const Options& options) {
  if (options.root) return model::paths_under(*options.root);
  if (::getuid() == 0) return model::paths_under("/");
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  const char* home = std::getenv("HOME");
  if (runtime == nullptr || home == nullptr) return model::paths_under("/");
  return model::paths_of_user(runtime, home);
}

// All that mohhosd reads: a word about each file that is wrong.
Result<> check_config(const model::Paths& paths) {
  TRY(manager::read_config(paths));
  TRY(security::read_trust(paths.trust()));
  TRY(const security::Keyring keyring, security::Keyring::open(paths.keys()));
  for (const std::string& problem : keyring.problems())
    std::printf("warning: %s\n", problem.c_str());
  std::error_code error;
  for (std::filesystem::directory_iterator each(paths.grants(), error), end; !error && each != end;
       each.increment(error))
    if (each->path().extension() == ".toml")
      TRY(security::read_policy(paths.grants(), each->path().stem().native()));
  std::printf("%s and what lies beside it: all right, %zu keys\n", paths.config().c_str(),
              keyring.entries().size());
  return {};
}

Result<int> run(const Options& options, sys::Fd warden) {
  TRY(model::Paths paths, paths_for(options));
  if (options.check_config) {
    TRY(check_config(paths));
    return 0;
  }
  TRY(manager::Config config, manager::read_config(paths));
  TRY(sys::Loop loop, sys::Loop::open());
  std::optional<api::Server> server;
  std::unique_ptr<manager::Manager> manager;
  manager::Manager::Setup setup{std::move(paths), options.root.value_or(""), std::move(config),
                                std::move(warden)};
  TRY(manager, manager::Manager::open(loop, std::move(setup), [&](sys::Fd listening) {
        auto opened = api::Server::open(loop, std::move(listening), *manager);
        if (opened) {
          server.emplace(std::move(*opened));
          return;
        }
        spdlog::error("the control socket cannot be served: {}", opened.error().text);
        loop.stop(1);
      }));
  TRY(manager::harden());
  return loop.run();
}

} // namespace

int main(int argc, char** argv) {
  const auto options = parse_options(argc, argv);
  if (!options) return kUsage;
  ::signal(SIGPIPE, SIG_IGN);
  spdlog::set_default_logger(std::make_shared<spdlog::logger>(
      "mohhos-manager", std::make_shared<spdlog::sinks::stderr_sink_st>()));
  spdlog::set_pattern("%Y-%m-%d %H:%M:%S.%e mohhos-manager: %l: %v");
  const bool started_by_warden = ::fcntl(warden::kFdWarden, F_SETFD, FD_CLOEXEC) == 0;
  if (!started_by_warden && !options->check_config) {
    std::fputs("mohhos-manager is started by mohhosd; start that\n", stderr);
    return kUsage;
  }
  auto status = run(*options, sys::Fd(options->check_config ? -1 : warden::kFdWarden));
  if (status) return *status;
  spdlog::error("{}", status.error().text);
  return exit_code(status.error().code);
}
