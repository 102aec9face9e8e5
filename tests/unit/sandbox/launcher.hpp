// A small warden for tests: launches the inmate through the real spawn, stands at the gate, answers
// the filter's listener on a thread of its own, and asks the inmate questions. Leaves nothing
// behind.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sandbox/boot.hpp"
#include "sandbox/cgroup.hpp"
#include "sandbox/compile.hpp"
#include "sandbox/gate.hpp"
#include "sandbox/spawn.hpp"
#include "sys/process.hpp"

namespace mohhos::sandbox::tests {

struct LaunchOptions {
  model::Grant grant;
  Ids ids{.uid = 0x70000011, .gid = 0x70000011};
  const Group* group = nullptr;
};

class Inmate {
public:
  // Up to Go. An error is what the gate said. [any]
  [[nodiscard]] static Result<Inmate> launch(const LaunchOptions& options);
  Inmate(Inmate&& other) noexcept;
  Inmate& operator=(Inmate&&) = delete;
  ~Inmate();

  // The errno of what the inmate tried; 0: it succeeded; nothing: it is dead or silent for 5 s.
  [[nodiscard]] std::optional<int> ask(const std::string& question);
  // How it ended; waits at most 5 s.
  [[nodiscard]] std::optional<sys::ExitStatus> wait();

  [[nodiscard]] const GateConfined& report() const { return confined_; }
  [[nodiscard]] model::WallSet seen() const { return seen_; }
  [[nodiscard]] pid_t pid() const { return spawned_.pid; }
  [[nodiscard]] int pidfd() const { return spawned_.pidfd.get(); }
  [[nodiscard]] const Spec& spec() const { return *spec_; }
  // The numbers of the calls that reached the listener since Go, opens aside.
  [[nodiscard]] std::vector<int> refused() const;

private:
  Inmate();
  struct Watch; // the listener's thread and what it saw
  std::unique_ptr<Spec> spec_;
  Spawned spawned_;
  sys::Fd link_;
  GateConfined confined_;
  model::WallSet seen_ = 0;
  std::unique_ptr<Watch> watch_;
  bool reaped_ = false;
};

// A grant as a plugin without any capabilities has it.
[[nodiscard]] model::Grant plain_grant();

// Why launches cannot be tried as this user on this machine; empty: they can.
[[nodiscard]] std::string why_no_launch();

} // namespace mohhos::sandbox::tests
