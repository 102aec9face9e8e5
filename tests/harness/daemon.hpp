// A real mohhosd in a temporary directory, spoken to only as an operator would: with plugctl and
// signals.
//
// The test process is a subreaper: whatever the daemon leaves running becomes its child, so that
// "nothing is left" is a question to the kernel and not to a list of names. stop() asks it, and
// asks for cgroups, mounts and shared memory too.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "harness/run.hpp"

namespace mohhos::test {

struct DaemonOptions {
  std::filesystem::path root;         // empty: a temporary directory of its own
  std::vector<std::string> prefix;    // a program that starts mohhosd: {"setpriv", …, "--"}
  std::vector<std::string> arguments; // after --root DIR
  bool trust_a_key = true;            // generate a key and put its public half into keys.d
};

class Daemon {
public:
  // Returns when it says READY=1; throws with its own words when it ends before or takes 20 s.
  explicit Daemon(const DaemonOptions& options = {});
  ~Daemon(); // stops it, and kills whatever is left
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // SIGTERM, waits for the end, and says what it left behind: one line each, empty when nothing.
  std::string stop();

  // SIGKILL for the daemon and all its processes, until they are gone: nobody cleans up.
  void kill_hard();

  [[nodiscard]] Outcome plugctl(std::vector<std::string> arguments,
                                std::chrono::milliseconds timeout = std::chrono::seconds(20)) const;
  // `plugctl -o json …`, one value of the answer.
  [[nodiscard]] std::string value(std::vector<std::string> arguments,
                                  const std::string& path) const;

  // Puts the daemon's key into trust.toml at this level.
  void trust_key(const std::string& level) const;
  // Copies a plugin here, signs it with the daemon's key and returns the copy's path.
  [[nodiscard]] std::filesystem::path sign(const std::filesystem::path& plugin,
                                           const std::string& as = {}) const;
  // load (and start); the outcome of the first that fails, else of the last.
  Outcome load(const std::filesystem::path& plugin) const;
  Outcome load_and_start(const std::filesystem::path& plugin, const std::string& name) const;
  void grant(const std::string& name, std::string_view toml) const; // grants.d/<name>.toml

  // Asks again, a few milliseconds apart, until it is true or the time is over.
  static bool eventually(const std::function<bool()>& condition,
                         std::chrono::milliseconds timeout = std::chrono::seconds(10));
  [[nodiscard]] std::string state(const std::string& name) const;
  [[nodiscard]] bool
  wait_for_state(const std::string& name, const std::string& state,
                 std::chrono::milliseconds timeout = std::chrono::seconds(10)) const;

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] bool is_alive() const;
  [[nodiscard]] pid_t manager_pid() const;
  [[nodiscard]] const std::filesystem::path& root() const { return root_; }
  [[nodiscard]] std::filesystem::path etc() const { return root_ / "etc/mohhos"; }
  [[nodiscard]] std::filesystem::path socket() const { return root_ / "run/mohhos/control.sock"; }
  [[nodiscard]] std::filesystem::path key() const { return root_ / "test.key"; }
  [[nodiscard]] std::filesystem::path public_key() const { return root_ / "test.pub"; }
  [[nodiscard]] std::string log() const; // what mohhosd wrote to stderr

private:
  void make_trusted_key() const;
  void spawn(const DaemonOptions& options);
  void wait_until_ready();
  [[nodiscard]] std::string leftovers() const;

  TemporaryDirectory scratch_;
  std::filesystem::path root_;
  pid_t pid_ = -1;
  int pidfd_ = -1;
  int notify_ = -1;
  std::vector<std::string> shared_before_;
};

// Every process below this one, with the children of its children.
[[nodiscard]] std::vector<pid_t> descendants(pid_t of);
[[nodiscard]] bool am_root();

} // namespace mohhos::test
