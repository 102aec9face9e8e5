// The warden: one instance's custody, plugin processes and manager, on one loop.
//
// It acts and keeps, and decides nothing but whether what it is asked to do is allowed at all. A
// manager that dies is replaced and gets everything handed over; one that speaks wrongly is killed
// first.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "sandbox/cgroup.hpp"
#include "security/keyring.hpp"
#include "sys/loop.hpp"
#include "sys/record_link.hpp"
#include "warden/custody.hpp"
#include "warden/directories.hpp"
#include "warden/identity.hpp"
#include "warden/images.hpp"
#include "warden/manager_process.hpp"
#include "warden/process.hpp"

namespace mohhos::warden {

// All that main has made; the warden is the last to use it.
struct Parts {
  Place place;
  Identity identity;
  Directories directories;
  Programs programs;
  security::Keyring keyring;
  Images images;
  sandbox::Cgroups cgroups;
  sys::Fd control;                     // the listening socket
  sys::Fd signals;                     // signalfd of SIGTERM, SIGINT, SIGHUP
  std::optional<int> former_oom_score; // if we lowered our own: what children get back
};

class Warden {
public:
  Warden(sys::Loop& loop, Parts& parts);
  // Starts the manager; the loop stops with the exit status when all is over. [loop]
  [[nodiscard]] Result<> start();

private:
  struct Manager {
    sys::Fd pidfd;
    std::unique_ptr<sys::RecordLink> link;
    sys::Source ended;
    sys::Source overdue;
    Monotonic started;
    bool condemned = false; // it spoke wrongly: nothing of it counts any more
  };
  using Processes =
      std::map<std::uint64_t, std::unique_ptr<Process>>; // by plugin id: one at a time

  void start_manager_later();
  [[nodiscard]] Result<> start_new_manager();
  void hand_over();
  void on_manager_end();
  void end_manager(const Error& why);

  bool on_message(std::span<const std::byte> bytes, std::vector<sys::Fd> fds);
  void act(const Signal& signal);
  void act(const Launch& order, std::vector<sys::Fd> fds);
  void act(const Target& target);
  void act(const Keep& keep, std::vector<sys::Fd> fds);
  void act(const Forget& forget);
  [[nodiscard]] Result<> launch(const Launch& order, std::vector<sys::Fd> fds);
  [[nodiscard]] Result<> steer(const Target& target);
  void answer(std::uint32_t sequence, const Result<>& result);
  template <class T>
  void tell(const T& message, std::vector<sys::SharedFd> fds = {});

  bool report(const Attempt& attempt);
  void tell_failed(const Launch& order, const Error& error, model::WallSet missing);
  void later(sys::Source& source, std::chrono::milliseconds time, std::function<void()> call);
  void on_launched(Process& process);
  void on_refused(Process& process, const Error& error, model::WallSet missing);
  void on_exited(Process& process);
  void let_go(std::uint64_t plugin_id);
  void clean_up_departed();
  [[nodiscard]] Result<sandbox::Ids> take_ids();

  void on_signals();
  void shut_down();
  void kill_all();
  void finish_if_empty();

  sys::Loop& loop_;
  Parts& parts_;
  Workshop workshop_;
  Custody custody_;
  Processes processes_;
  std::vector<std::unique_ptr<Process>>
      departed_; // exited and forgotten, their groups not yet gone
  std::optional<Manager> manager_;
  std::uint32_t next_id_ = 0;
  std::uint32_t restarts_ = 0;
  std::chrono::milliseconds backoff_;
  bool draining_ = false; // reading the last words of a dead manager
  enum class Phase : unsigned char { Starting, Serving, Asking, Killing } phase_ = Phase::Starting;
  int status_ = 0;
  sys::Source signals_;
  sys::Source restart_;
  sys::Source deadline_;
  sys::Source cleaning_;
};

} // namespace mohhos::warden
