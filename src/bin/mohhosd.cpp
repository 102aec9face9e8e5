// mohhosd: the warden. Builds every object in the order in which one needs the other, and runs the
// loop.
#include <array>
#include <csignal>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <sodium/core.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "sys/daemon_log.hpp"
#include "sys/exec.hpp"
#include "sys/mount.hpp"
#include "sys/process.hpp"
#include "sys/socket.hpp"
#include "warden/warden.hpp"

namespace {

using namespace mohhos;
using namespace mohhos::warden;

constexpr Bytes kImagesLimit = mib(1024);
constexpr const char* kHelp =
    "usage: mohhosd [--root DIR] [--check-config]\n\n"
    "Runs plugins that nobody has to trust: for the system as root, in user namespaces as any "
    "user.\n"
    "Stays in the foreground, ends with SIGTERM, reads its configuration again with SIGHUP.\n\n"
    "  --root DIR      keep everything under DIR: run/mohhos, etc/mohhos, var/lib/mohhos,\n"
    "                  var/log/mohhos (default: / for root; $XDG_RUNTIME_DIR/mohhos,\n"
    "                  ~/.config/mohhos and ~/.local/state/mohhos for others)\n"
    "  --check-config  say whether the configuration is right, start nothing\n"
    "  --version, --help\n";

struct Options {
  std::optional<std::string> root;
  bool check_config = false;
  std::optional<int> done; // the exit status, where there is nothing to do
};

Options parse_options(int argc, char** argv) {
  constexpr std::array<option, 5> kOptions = {{{"root", required_argument, nullptr, 'r'},
                                               {"check-config", no_argument, nullptr, 'c'},
                                               {"version", no_argument, nullptr, 'v'},
                                               {"help", no_argument, nullptr, 'h'},
                                               {}}};
  Options options;
  for (;;) {
    switch (::getopt_long(argc, argv, "", kOptions.data(), nullptr)) {
    case 'r': options.root = optarg; continue;
    case 'c': options.check_config = true; continue;
    case 'v':
      std::puts("mohhosd " MOHHOS_VERSION);
      options.done = 0;
      return options;
    case 'h':
      std::fputs(kHelp, stdout);
      options.done = 0;
      return options;
    case -1:
      if (optind >= argc) return options;
      std::fprintf(stderr, "mohhosd: %s: no such argument (mohhosd --help)\n", argv[optind]);
      [[fallthrough]];
    default: options.done = exit_code(Code::Invalid); return options; // getopt has said what
    }
  }
}

Result<sys::Fd> open_control_socket(const Parts& parts) {
  const auto path = parts.place.paths.socket();
  const auto clients = parts.identity.client_gid;
  TRY(sys::Fd socket, sys::listen_unix(path, clients ? 0660 : 0600));
  if (clients && ::fchownat(parts.directories.run.get(), path.filename().c_str(),
                            parts.identity.own_uid, *clients, AT_SYMLINK_NOFOLLOW) != 0)
    return fail_errno(fmt::format("chown of {}", path.native()));
  return socket;
}

Result<int> check_config(const Place& place, const Identity& identity, const Programs& programs) {
  Directories seen;
  seen.etc = sys::Fd(::open(place.paths.etc.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  TRY(const sys::Fd checker, start_manager({.identity = identity,
                                            .place = place,
                                            .directories = seen,
                                            .program = programs.manager.get(),
                                            .check_config = true}));
  TRY(sys::wait_for(checker.get(), POLLIN, std::nullopt));
  TRY(const auto status, sys::reap(checker.get()));
  return status && !status->signaled ? status->value : exit_code(Code::Failed);
}

// What was made outside of our own namespaces goes again; the lock's file last, under the lock.
void remove_traces(const Parts& parts) {
  const int run = parts.directories.run.get();
  ::umount2(parts.place.paths.images().c_str(), MNT_DETACH);
  ::unlinkat(run, parts.place.paths.images().filename().c_str(), AT_REMOVEDIR);
  if (parts.control) ::unlinkat(run, parts.place.paths.socket().filename().c_str(), 0);
  ::unlinkat(run, parts.place.paths.lock().filename().c_str(), 0);
}

Result<int> serve(Parts& parts) {
  TRY(sys::Loop loop, sys::Loop::open());
  TRY(parts.signals, sys::make_signalfd({SIGTERM, SIGINT, SIGHUP}));
  TRY(parts.control, open_control_socket(parts));
  const auto swept = parts.cgroups.sweep();
  if (!swept) sys::say("removing what a former life left: {}", swept.error().text);
  if (swept && *swept > 0) sys::say("removed {} control groups of a former life", *swept);
  Warden warden(loop, parts);
  TRY(warden.start());
  return loop.run();
}

Result<int> run(const Options& options) {
  sys::begin_as_daemon();
  if (::sodium_init() < 0) return fail(Code::Failed, "libsodium cannot be initialised");
  TRY(Place place, find_place(options.root, options.check_config));
  TRY(Programs programs, find_programs());
  TRY(Identity identity, take_identity(place.instance));
  if (options.check_config) return check_config(place, identity, programs);

  TRY(sys::leave_mount_namespace());
  if (identity.mode == Mode::Privileged) ::prctl(PR_SET_DUMPABLE, 0);
  TRY(Directories directories, prepare_directories(place, identity));
  TRY(security::Keyring keyring, security::Keyring::open(place.paths.keys()));
  TRY(Images images, Images::mount(place.paths.images(), directories.images.get(), kImagesLimit));
  Parts parts{.place = std::move(place),
              .identity = identity,
              .directories = std::move(directories),
              .programs = std::move(programs),
              .keyring = std::move(keyring),
              .images = std::move(images),
              .cgroups = {},
              .control = {},
              .signals = {},
              .former_oom_score = sys::lower_oom_score(-900)};
  if (identity.mode == Mode::Privileged)
    parts.cgroups = sandbox::Cgroups::open(parts.place.instance);
  auto status = serve(parts);
  parts.cgroups.remove();
  remove_traces(parts);
  return status;
}

} // namespace

int main(int argc, char** argv) {
  const Options options = parse_options(argc, argv);
  if (options.done) return *options.done;
  const auto status = run(options);
  if (status) return *status;
  sys::say("{}", status.error().text);
  return exit_code(status.error().code);
}
