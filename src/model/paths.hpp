// Where everything lies. Three layouts, one shape: the system's, a private one under `--root DIR`,
// and an ordinary user's own.
#pragma once

#include <filesystem>
#include <string>

namespace mohhos::model {

struct Paths {
  std::filesystem::path run; // control.sock, mohhosd.lock, images/ (the warden's private tmpfs)
  std::filesystem::path
      etc; // mohhosd.toml, conf.d/, keys.d/*.pub, trust.toml, grants.d/<plugin>.toml
  std::filesystem::path state; // what outlives a restart
  std::filesystem::path log;

  [[nodiscard]] std::filesystem::path socket() const { return run / "control.sock"; }
  [[nodiscard]] std::filesystem::path lock() const { return run / "mohhosd.lock"; }
  [[nodiscard]] std::filesystem::path images() const { return run / "images"; }
  [[nodiscard]] std::filesystem::path config() const { return etc / "mohhosd.toml"; }
  [[nodiscard]] std::filesystem::path keys() const { return etc / "keys.d"; }
  [[nodiscard]] std::filesystem::path trust() const { return etc / "trust.toml"; }
  [[nodiscard]] std::filesystem::path dead_letters() const { return state / "deadletters"; }
  [[nodiscard]] std::filesystem::path grants() const { return etc / "grants.d"; }
};

// DIR/run/mohhos, DIR/etc/mohhos, DIR/var/lib/mohhos, DIR/var/log/mohhos; "/" is the system's own.
// [pure]
[[nodiscard]] Paths paths_under(const std::filesystem::path& root);
// $XDG_RUNTIME_DIR/mohhos, ~/.config/mohhos, ~/.local/state/mohhos (and log/ in it). [pure]
[[nodiscard]] Paths paths_of_user(const std::string& runtime_dir, const std::string& home);
// The socket a client uses when nothing else is said: $MOHHOS_SOCKET, else the user's own if it
// exists, else /run/mohhos/control.sock. [any]
[[nodiscard]] std::filesystem::path default_socket();

} // namespace mohhos::model
