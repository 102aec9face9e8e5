// A plugin as the manager knows it: what is said of it (info), its process as far as we touch it
// (link, pipes, pidfd), and what somebody waits for.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ipc/link.hpp"
#include "ipc/remains.hpp"
#include "lifecycle/restart_policy.hpp"
#include "lifecycle/transitions.hpp"
#include "manager/cause.hpp"
#include "manager/link_port.hpp"
#include "manager/log_pipe.hpp"
#include "manager/manager.hpp"
#include "monitor/attempts.hpp"
#include "monitor/logs.hpp"
#include "monitor/sample.hpp"
#include "sys/fd.hpp"
#include "sys/loop.hpp"

namespace mohhos::manager {

// A request that is under way. At most one per plugin: the others are refused as busy.
struct Pending {
  lifecycle::Event request{};
  ipc::Operation operation{}; // what the plugin was asked; 0: the warden was (freeze, thaw, launch)
  std::string_view doing{};   // "on_start", …: for sentences
  Monotonic since{};          // when the request came
  Reply<model::PluginInfo> reply{}; // empty: nobody waits (any more)
  sys::Source deadline{};
};

// From a death to the plugin's being again what it was.
struct Restarting {
  model::State goal{};
  bool waiting = true; // for the end of the backoff: there is no process
  bool due = false;    // it has ended
  std::string cause{}; // of the death
  std::vector<Reply<model::PluginInfo>> replies{}; // of requests that came meanwhile
  sys::Source timer{};
};

struct Plugin {
  model::PluginInfo info;
  std::string signature; // the .minisig file
  std::string manifest;  // canonical bytes

  bool process = false;       // the warden has one, or is making one
  bool parting = false;       // its process has ended, what it left is being put away
  bool adopted = false;       // by this manager, from the one before
  std::uint32_t sequence = 0; // of the last operation that it was asked for
  std::unique_ptr<LinkPort> link;
  sys::Source link_grace; // the link has ended, and the process not yet
  std::unique_ptr<LogPipe> out;
  std::unique_ptr<LogPipe> err;
  sys::Fd pidfd;

  monitor::LogStore logs;
  monitor::Attempts attempts;
  std::uint64_t saved_attempts = 0; // their revision in the record
  monitor::Sources sources;
  std::optional<monitor::Sample> previous;
  std::optional<monitor::Sample> last;

  sys::Fd image; // of a plugin with a restart policy: what it is begun again from
  lifecycle::RestartHistory restarts;
  std::vector<ipc::Suspect> suspects; // what it had in hand when it died
  std::uint32_t burials = 0;          // of them that are under way; it is not begun again before
  std::optional<Restarting> restarting;
  // What it was when we decided that it must end (state ERROR), if that is to be brought back.
  model::State fell_from = model::State::Unloaded;
  // It is not to be brought back: it refused what somebody asked of it, which is no crash, or its
  // restarts are used up.
  bool stays_down = false;

  std::optional<Pending> pending;
  Death death;                               // collected until the process has ended
  Code failure = Code::PluginFailed;         // of the error that the waiting caller gets
  std::vector<std::function<void()>> at_end; // when the process is gone and everything is released
};

} // namespace mohhos::manager
