#include "warden/warden.hpp"
#include "sys/daemon_log.hpp"

#include <algorithm>
#include <csignal>

#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/check.hpp"
#include "sys/process.hpp"
#include "sys/socket.hpp"
#include "warden/messages.hpp"

namespace mohhos::warden {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kFirstBackoff{10};
constexpr milliseconds kLongestBackoff{1000}; // nobody can ask for anything meanwhile
constexpr milliseconds kExitGrace{500};       // from the end of its link to the end of a manager
constexpr seconds kStable{10};         // a manager that lived this long starts the backoff anew
constexpr seconds kUnloadDeadline{15}; // Shutdown to Goodbye
constexpr seconds kKillDeadline{10};   // SIGKILL to gone: only the kernel can be late
constexpr std::size_t kMostProcesses = 2048;
constexpr std::size_t kRoomForAttempts = 256; // messages waiting for the manager

std::string exit_words(const Exited& exited) {
  return fmt::format("{} {}{}", exited.signaled != 0 ? "signal" : "status", exited.value,
                     exited.out_of_memory != 0 ? ", out of memory" : "");
}

} // namespace

Warden::Warden(sys::Loop& loop, Parts& parts)
    : loop_(loop), parts_(parts), workshop_{.loop = loop,
                                            .keyring = parts.keyring,
                                            .images = parts.images,
                                            .cgroups = parts.cgroups,
                                            .host = parts.programs.host.get(),
                                            .former_oom_score = parts.former_oom_score},
      custody_(CustodyBounds{}), backoff_(kFirstBackoff) {}

Result<> Warden::start() {
  TRY(signals_,
      loop_.on_fd(parts_.signals.get(), EPOLLIN, [this](std::uint32_t) { on_signals(); }));
  return start_new_manager();
}

// --- the manager ---

Result<> Warden::start_new_manager() {
  TRY(auto pair, sys::make_seqpacket_pair());
  Manager next;
  next.started = loop_.now();
  TRY(next.pidfd, start_manager({.identity = parts_.identity,
                                 .place = parts_.place,
                                 .directories = parts_.directories,
                                 .program = parts_.programs.manager.get(),
                                 .link = pair.second.get(),
                                 .former_oom_score = parts_.former_oom_score}));
  const auto receive = [this](std::span<const std::byte> bytes, std::vector<sys::Fd> fds) {
    return on_message(bytes, std::move(fds));
  };
  TRY(next.link, sys::RecordLink::open(loop_, std::move(pair.first), kMaxMessage, receive,
                                       [this](const Error& why) { end_manager(why); }));
  TRY(next.ended,
      loop_.on_fd(next.pidfd.get(), EPOLLIN, [this](std::uint32_t) { on_manager_end(); }));
  manager_ = std::move(next);
  hand_over();
  return {};
}

void Warden::start_manager_later() {
  later(restart_, backoff_, [this] {
    auto started = start_new_manager();
    if (started) return;
    sys::say("a new manager cannot be started, trying again: {}", started.error().text);
    start_manager_later();
  });
  backoff_ = std::min(backoff_ * 2, kLongestBackoff);
}

void Warden::hand_over() {
  const auto buildable =
      sandbox::find_buildable(parts_.cgroups, parts_.identity.mode != Mode::User);
  Hello hello;
  hello.mode = parts_.identity.mode;
  hello.restarts = restarts_;
  hello.buildable = buildable.walls;
  hello.landlock_abi = buildable.landlock_abi;
  hello.uid_base = parts_.identity.uid_base;
  hello.uid_count = parts_.identity.uid_count;
  hello.warden_pid = ::getpid();
  hello.limits_v1 = parts_.cgroups.limits_in_v1() ? 1 : 0;
  auto control = parts_.control.duplicate();
  if (!control) return end_manager(control.error());
  tell(hello, {std::make_shared<const sys::Fd>(*std::move(control))});
  custody_.visit([this](const Kept& kept, const sys::SharedFd& fd) { tell(kept, {fd}); });
  for (const auto& [id, process] : processes_) {
    if (process->state() == Process::State::AtGate)
      continue; // nobody remembers having asked for it
    Running running;
    running.launched = process->launched();
    auto pidfd = process->pidfd().duplicate();
    if (!pidfd) return end_manager(pidfd.error());
    tell(running, {std::make_shared<const sys::Fd>(*std::move(pidfd))});
    if (process->state() == Process::State::Exited) tell(process->exited());
  }
  tell(signal_of(MessageType::HelloEnd));
}

// It cannot go on; its end comes through the pidfd.
void Warden::end_manager(const Error& why) {
  if (!manager_ || draining_) return;
  if (phase_ != Phase::Killing && why.code != Code::PeerGone)
    sys::say("killing the manager: {}", why.text);
  manager_->condemned = true;
  // A link ends a moment before the process that exits. A signal in between would hide the status,
  // and with it that the manager has refused to start.
  const auto kill = [this] { static_cast<void>(sys::send_signal(manager_->pidfd.get(), SIGKILL)); };
  if (why.code == Code::PeerGone) return later(manager_->overdue, kExitGrace, kill);
  kill();
}

void Warden::on_manager_end() {
  const auto status = sys::reap(manager_->pidfd.get());
  if (status && !*status) return;
  // What it had given us to keep before it died may still be on its way.
  draining_ = true;
  manager_->link->drain();
  draining_ = false;
  const bool was_stable = loop_.now() - manager_->started > kStable;
  manager_.reset();
  for (const auto& [id, process] : processes_)
    if (process->state() == Process::State::AtGate) static_cast<void>(process->kill());

  if (phase_ == Phase::Killing) return finish_if_empty();
  const bool signaled = status && (*status)->signaled;
  const int value = status ? (*status)->value : 1;
  const std::string how = fmt::format("{} {}", signaled ? "signal" : "status", value);
  if (phase_ == Phase::Asking) {
    sys::say("the manager ended during the shutdown ({})", how);
    return kill_all();
  }
  if (phase_ == Phase::Starting && !signaled) { // it has said why
    sys::say("the manager did not start ({})", how);
    status_ = value != 0 && value != 127 ? value : 1;
    return kill_all();
  }
  ++restarts_;
  if (was_stable) backoff_ = kFirstBackoff;
  sys::say("the manager ended ({}); a new one takes over in {} ms (plugins: {})", how,
           backoff_.count(), processes_.size());
  start_manager_later();
}

void Warden::later(sys::Source& source, milliseconds time, std::function<void()> call) {
  auto timer = loop_.after(time, std::move(call));
  CHECK(timer.has_value()); // only memory could be short
  source = *std::move(timer);
}

template <class T>
void Warden::tell(const T& message, std::vector<sys::SharedFd> fds) {
  if (manager_ && !draining_) manager_->link->send(bytes_of(message), std::move(fds));
}

void Warden::answer(std::uint32_t sequence, const Result<>& result) {
  Answer reply;
  reply.header.sequence = sequence;
  if (!result) {
    reply.code = static_cast<std::int32_t>(result.error().code);
    put_text(reply.text, result.error().text);
  }
  tell(reply);
}

// --- what it asks for ---

bool Warden::on_message(std::span<const std::byte> bytes, std::vector<sys::Fd> fds) {
  if (manager_->condemned) return false;
  auto request = parse_request(bytes, fds.size());
  if (!request) {
    end_manager(std::move(request).error().within("it sent"));
    return false;
  }
  std::visit(
      [&](const auto& message) {
        if constexpr (requires { act(message, std::move(fds)); })
          act(message, std::move(fds));
        else
          act(message); // comes without descriptors, as parse_request has seen
      },
      *request);
  return true;
}

void Warden::act(const Signal& signal) {
  if (draining_) return;
  if (signal.header.type == MessageType::Goodbye) {
    if (phase_ == Phase::Asking) kill_all();
    return;
  }
  if (phase_ != Phase::Starting) return;
  phase_ = Phase::Serving;
  sys::say("ready at {}", parts_.place.paths.socket().native());
  static_cast<void>(::sd_notify(0, "READY=1"));
}

void Warden::act(const Keep& keep, std::vector<sys::Fd> fds) {
  answer(keep.header.sequence, custody_.keep(keep, std::move(fds.front())));
}

void Warden::act(const Forget& forget) {
  custody_.forget(forget);
  answer(forget.header.sequence, {});
}

void Warden::act(const Launch& order, std::vector<sys::Fd> fds) {
  if (draining_) return; // who would hear of it?
  auto launched = launch(order, std::move(fds));
  if (!launched) tell_failed(order, launched.error(), 0); // else it follows, or Launched
}

void Warden::tell_failed(const Launch& order, const Error& error, model::WallSet missing) {
  sys::say("{}: not launched: {}", order.name, error.text);
  LaunchFailed failed;
  failed.header.sequence = order.header.sequence;
  failed.plugin_id = order.plugin_id;
  failed.generation = order.generation;
  failed.code = static_cast<std::int32_t>(error.code);
  failed.missing = missing;
  put_text(failed.text, error.text);
  tell(failed);
}

Result<> Warden::launch(const Launch& order, std::vector<sys::Fd> fds) {
  if (phase_ == Phase::Killing) return fail(Code::BadState, "mohhosd is ending");
  if (processes_.contains(order.plugin_id))
    return fail(Code::Exists, "plugin {} has a process already", order.plugin_id);
  if (processes_.size() >= kMostProcesses)
    return fail(Code::Exhausted, "{} plugin processes, which is the bound", processes_.size());
  TRY(const sandbox::Ids ids, take_ids());
  Process::Events events{
      .launched = [this](Process& process) { on_launched(process); },
      .refused = [this](Process& process, const Error& error,
                        model::WallSet missing) { on_refused(process, error, missing); },
      .exited = [this](Process& process) { on_exited(process); },
      .attempt = [this](Attempt& attempt) { return report(attempt); }};
  Process::Descriptors descriptors{std::move(fds[0]), std::move(fds[1]), std::move(fds[2]),
                                   std::move(fds[3]), std::move(fds[4])};
  TRY(auto process,
      Process::launch(workshop_, order, std::move(descriptors), ids, std::move(events)));
  processes_.emplace(order.plugin_id, std::move(process));
  return {};
}

// The next uid that no process of ours has: the one used longest ago, so that nothing that a dead
// plugin left could meet its heir.
Result<sandbox::Ids> Warden::take_ids() {
  const Identity& me = parts_.identity;
  if (me.mode == Mode::User)
    return sandbox::Ids{.uid = me.own_uid, .gid = me.own_gid, .own = false, .drop_groups = false};
  for (std::uint32_t tried = 0; tried < me.uid_count; ++tried) {
    const uid_t uid = me.uid_base + next_id_;
    next_id_ = (next_id_ + 1) % me.uid_count;
    const bool used = std::ranges::any_of(
        processes_, [&](const auto& entry) { return entry.second->ids().uid == uid; });
    if (!used) return sandbox::Ids{.uid = uid, .gid = uid, .own = true, .drop_groups = true};
  }
  return fail(Code::Exhausted, "all {} uids for plugins are in use", me.uid_count);
}

void Warden::act(const Target& target) {
  answer(target.header.sequence, steer(target));
}

Result<> Warden::steer(const Target& target) {
  const auto found = processes_.find(target.plugin_id);
  if (found == processes_.end() || found->second->order().generation != target.generation)
    return fail(Code::NotFound, "plugin {} has no process of generation {}", target.plugin_id,
                target.generation);
  Process& process = *found->second;
  switch (target.header.type) {
  case MessageType::Kill: return process.kill();
  case MessageType::Freeze: return process.freeze();
  case MessageType::Thaw: return process.thaw();
  case MessageType::Settle: return process.settle();
  default: break; // Release
  }
  if (process.state() != Process::State::Exited)
    return fail(Code::BadState, "plugin {} still has its process: kill it first", target.plugin_id);
  let_go(target.plugin_id);
  return {};
}

// --- what becomes of the processes ---

// False: nobody hears it now, or too much is waiting already.
bool Warden::report(const Attempt& attempt) {
  if (!manager_ || manager_->link->waiting() >= kRoomForAttempts) return false;
  tell(attempt);
  return true;
}

void Warden::on_launched(Process& process) {
  auto pidfd = process.pidfd().duplicate();
  if (!pidfd) {
    sys::say("{}: {}", process.order().name, pidfd.error().text);
    static_cast<void>(process.kill());
    return;
  }
  sys::say("{}: process {}, confined ({}) in {} µs", process.order().name, process.launched().pid,
           model::level_name(model::level_of(process.launched().standing)),
           process.launched().spawn_us + process.launched().confine_us);
  tell(process.launched(), {std::make_shared<const sys::Fd>(*std::move(pidfd))});
}

void Warden::on_refused(Process& process, const Error& error, model::WallSet missing) {
  tell_failed(process.order(), error, missing);
  let_go(process.order().plugin_id);
  finish_if_empty();
}

void Warden::on_exited(Process& process) {
  sys::say("{}: process {} ended ({})", process.order().name, process.launched().pid,
           exit_words(process.exited()));
  tell(process.exited());
  if (phase_ == Phase::Killing) {
    let_go(process.order().plugin_id);
    finish_if_empty();
  }
}

// Its groups go as soon as the kernel lets them. The process may be on the stack: it is destroyed
// later.
void Warden::let_go(std::uint64_t plugin_id) {
  auto node = processes_.extract(plugin_id);
  CHECK(!node.empty());
  departed_.push_back(std::move(node.mapped()));
  later(cleaning_, milliseconds(0), [this] { clean_up_departed(); });
}

void Warden::clean_up_departed() {
  std::erase_if(departed_, [](const auto& process) { return process->clean_up(); });
  if (!departed_.empty()) later(cleaning_, milliseconds(5), [this] { clean_up_departed(); });
  finish_if_empty();
}

// --- the end ---

void Warden::on_signals() {
  signalfd_siginfo signal{};
  while (::read(parts_.signals.get(), &signal, sizeof signal) == sizeof signal) {
    if (signal.ssi_signo == SIGHUP) {
      tell(signal_of(MessageType::Reload));
    } else {
      shut_down();
    }
  }
}

// The first signal asks, the second does not.
void Warden::shut_down() {
  if (phase_ == Phase::Killing) return;
  static_cast<void>(::sd_notify(0, "STOPPING=1"));
  if (phase_ != Phase::Serving || !manager_) return kill_all();
  phase_ = Phase::Asking;
  sys::say("ending (plugins: {})", processes_.size());
  tell(signal_of(MessageType::Shutdown));
  later(deadline_, kUnloadDeadline, [this] {
    sys::say("the manager has not unloaded everything in {} s", kUnloadDeadline.count());
    kill_all();
  });
}

void Warden::kill_all() {
  phase_ = Phase::Killing;
  restart_.reset();
  later(deadline_, kKillDeadline, [this] {
    sys::say("{} processes do not end; giving up", processes_.size() + departed_.size());
    loop_.stop(1);
  });
  if (manager_) static_cast<void>(sys::send_signal(manager_->pidfd.get(), SIGKILL));
  std::vector<std::uint64_t> gone;
  for (const auto& [id, process] : processes_) {
    if (process->state() == Process::State::Exited) gone.push_back(id);
    static_cast<void>(process->kill());
  }
  for (const std::uint64_t id : gone) let_go(id);
  finish_if_empty();
}

void Warden::finish_if_empty() {
  if (phase_ == Phase::Killing && !manager_ && processes_.empty() && departed_.empty())
    loop_.stop(status_);
}

} // namespace mohhos::warden
