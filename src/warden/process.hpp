// One plugin process, from the launch to the last of its remains.
//
// A launch reads as a list: verify the bytes again, write them as a file, make the groups, spawn;
// then, as the child speaks (we never wait for it): fetch its listener, hear what it found of its
// walls, look at it from outside, compare with what is required, Go. Whatever fails on the way ends
// in `refused`, after everything that had been made is gone again.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "sandbox/cgroup.hpp"
#include "sandbox/gate.hpp"
#include "sandbox/spawn.hpp"
#include "security/image.hpp"
#include "sys/loop.hpp"
#include "warden/images.hpp"
#include "warden/listener.hpp"
#include "warden/protocol.hpp"

namespace mohhos::warden {

// What all launches share; outlives every process.
struct Workshop {
  sys::Loop& loop;
  security::Keyring& keyring;
  Images& images;
  const sandbox::Cgroups& cgroups;
  int host = -1;                       // O_PATH: mohhos-plugin-host
  std::optional<int> former_oom_score; // what a child gets back
};

class Process {
public:
  // Called on the loop, never from inside launch() or another call. After refused and exited
  // nothing of the process runs any more.
  struct Events {
    std::function<void(Process&)> launched;
    std::function<void(Process&, const Error&, model::WallSet missing)> refused;
    std::function<void(Process&)> exited;
    Listener::Report attempt; // everything but plugin and generation is filled in
  };
  struct Descriptors {
    sys::Fd image;
    sys::Fd boot;
    sys::Fd link;
    sys::Fd output;
    sys::Fd errors;
  };
  // On error nothing was made. [loop]
  [[nodiscard]] static Result<std::unique_ptr<Process>> launch(const Workshop& workshop,
                                                               const Launch& order,
                                                               Descriptors descriptors,
                                                               sandbox::Ids ids, Events events);

  enum class State : unsigned char { AtGate, Running, Exited };
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] const Launch& order() const { return *order_; }
  [[nodiscard]] const sandbox::Ids& ids() const { return ids_; }
  [[nodiscard]] const Launched& launched() const { return launched_; } // once Running
  [[nodiscard]] const Exited& exited() const { return exited_; }       // once Exited
  [[nodiscard]] const sys::Fd& pidfd() const { return spawned_.pidfd; }

  [[nodiscard]] Result<> kill();
  [[nodiscard]] Result<> freeze();
  [[nodiscard]] Result<> thaw();
  [[nodiscard]] Result<> settle();
  // Once it has exited: removes its groups. False: the kernel still has something in them, ask
  // again.
  [[nodiscard]] bool clean_up();

private:
  Process(const Workshop& workshop, const Launch& order, sandbox::Ids ids, Events events);
  [[nodiscard]] Result<> spawn(Descriptors descriptors);
  [[nodiscard]] Result<> hear(const sandbox::GateReport& report);
  [[nodiscard]] Result<> hear_listening(const sandbox::GateListening& listening);
  [[nodiscard]] Result<> hear_confined(const sandbox::GateConfined& confined);
  void on_gate();
  void on_exit();
  void refuse(Error error, model::WallSet missing = 0);
  [[nodiscard]] bool grouped() const { return group_.clone_fd() >= 0; }

  const Workshop& workshop_;
  std::unique_ptr<const Launch> order_;
  sandbox::Ids ids_;
  Events events_;
  State state_ = State::AtGate;
  std::shared_ptr<ImageFile> image_;
  sandbox::Group group_;
  sandbox::Spawned spawned_;
  std::unique_ptr<Listener> listener_;
  sys::Source gate_ready_;
  sys::Source gate_deadline_;
  sys::Source ended_;
  Monotonic asked_;
  Monotonic listening_;
  Launched launched_;
  Exited exited_;
  std::optional<Error> refusal_;
  model::WallSet missing_ = 0;
};

} // namespace mohhos::warden
