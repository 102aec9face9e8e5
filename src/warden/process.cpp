#include "warden/process.hpp"

#include <algorithm>
#include <csignal>

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "sys/file.hpp"
#include "sys/memfd.hpp"
#include "sys/process.hpp"
#include "warden/messages.hpp"

namespace mohhos::warden {
namespace {

constexpr std::chrono::seconds kGateDeadline{10}; // clone to Go; 2 ms when nobody is in the way
constexpr Bytes kLargestBoot = mib(1);

std::uint32_t microseconds_since(Monotonic start, Monotonic now) {
  const auto passed = std::chrono::duration_cast<std::chrono::microseconds>(now - start).count();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(passed, 0, UINT32_MAX));
}

} // namespace

Process::Process(const Workshop& workshop, const Launch& order, sandbox::Ids ids, Events events)
    : workshop_(workshop), order_(std::make_unique<const Launch>(order)), ids_(ids),
      events_(std::move(events)), asked_(workshop.loop.now()) {
  launched_.plugin_id = exited_.plugin_id = order.plugin_id;
  launched_.generation = exited_.generation = order.generation;
  launched_.header.sequence = order.header.sequence;
}

Result<std::unique_ptr<Process>> Process::launch(const Workshop& workshop, const Launch& order,
                                                 Descriptors descriptors, sandbox::Ids ids,
                                                 Events events) {
  TRY(sandbox::verify_spec(order.spec));
  TRY(const Bytes boot_size, sys::verify_seals(descriptors.boot.get(), sys::kSealedContent));
  if (boot_size > kLargestBoot)
    return fail(Code::TooLarge, "a boot record of {} bytes", boot_size.count);
  // Before anything is made: nothing unsigned runs, whoever asks for it.
  TRY(workshop.keyring.refresh());
  TRY(const auto image,
      security::verify_image(std::move(descriptors.image), {order.signature, order.signature_size},
                             workshop.keyring));

  std::unique_ptr<Process> process(new Process(workshop, order, ids, std::move(events)));
  TRY(process->image_, workshop.images.put(image));
  if (workshop.cgroups.layout() != sandbox::CgroupLayout::None) {
    const sandbox::GroupLimits limits{order.spec.memory_bytes, order.spec.cpu_percent,
                                      order.spec.processes};
    TRY(process->group_, workshop.cgroups.make(order.name, PluginId{order.plugin_id},
                                               Generation{order.generation}, limits));
  }
  if (auto spawned = process->spawn(std::move(descriptors)); !spawned) {
    if (process->spawned_.pidfd) {
      static_cast<void>(process->kill());
      ::waitpid(process->spawned_.pid, nullptr, 0); // killed: it cannot make us wait
    }
    static_cast<void>(process->group_.remove());
    return std::unexpected(std::move(spawned).error());
  }
  return process;
}

Result<> Process::spawn(Descriptors descriptors) {
  const sandbox::SpawnRequest request{.spec = order_->spec,
                                      .ids = ids_,
                                      .group = grouped() ? &group_ : nullptr,
                                      .host = workshop_.host,
                                      .image = image_->fd.get(),
                                      .link = descriptors.link.get(),
                                      .boot = descriptors.boot.get(),
                                      .output = descriptors.output.get(),
                                      .errors = descriptors.errors.get(),
                                      .arguments = {}};
  TRY(spawned_, sandbox::spawn(request));
  if (workshop_.former_oom_score) {
    const std::string score = fmt::format("/proc/{}/oom_score_adj", spawned_.pid);
    TRY(sys::write_control(AT_FDCWD, score.c_str(), fmt::to_string(*workshop_.former_oom_score)));
  }
  launched_.pid = spawned_.pid;
  TRY(ended_,
      workshop_.loop.on_fd(spawned_.pidfd.get(), EPOLLIN, [this](std::uint32_t) { on_exit(); }));
  TRY(gate_ready_,
      workshop_.loop.on_fd(spawned_.gate.get(), EPOLLIN, [this](std::uint32_t) { on_gate(); }));
  TRY(gate_deadline_, workshop_.loop.after(kGateDeadline, [this] {
    refuse({Code::NoSandbox,
            fmt::format("the sandbox was not complete after {} s", kGateDeadline.count())});
  }));
  return {};
}

void Process::on_gate() {
  auto report = sandbox::receive_report(spawned_.gate.get());
  if (report && !*report) return;
  auto heard = report ? hear(**report) : std::unexpected(std::move(report).error());
  if (!heard) refuse(std::move(heard).error(), missing_);
}

Result<> Process::hear(const sandbox::GateReport& report) {
  if (const auto* listening = std::get_if<sandbox::GateListening>(&report))
    return hear_listening(*listening);
  if (const auto* confined = std::get_if<sandbox::GateConfined>(&report))
    return hear_confined(*confined);
  if (const auto* failed = std::get_if<sandbox::GateFailed>(&report)) {
    missing_ = failed->wall < model::kWallCount ? 1U << failed->wall : 0;
    return std::unexpected(sandbox::to_error(*failed));
  }
  return fail(Code::NoSandbox, "the plugin host ended before its sandbox was complete");
}

Result<> Process::hear_listening(const sandbox::GateListening& listening) {
  if (listener_) return fail(Code::Malformed, "the plugin host reported its filter twice");
  listening_ = workshop_.loop.now();
  launched_.spawn_us = microseconds_since(asked_, listening_);
  TRY(sys::Fd listener, sandbox::take_listener(spawned_.pidfd.get(), listening));
  TRY(listener_,
      Listener::open(workshop_.loop, std::move(listener), order_->spec, [this](Attempt& attempt) {
        attempt.plugin_id = order_->plugin_id;
        attempt.generation = order_->generation;
        return events_.attempt(attempt);
      }));
  return sandbox::send_signal_to_child(spawned_.gate.get(), sandbox::GateType::Proceed);
}

Result<> Process::hear_confined(const sandbox::GateConfined& confined) {
  if (!listener_)
    return fail(Code::NoSandbox, "the plugin host has no filter whose calls we could hear");
  TRY(const model::WallSet seen, sandbox::inspect(spawned_.pid, ids_));
  const model::WallSet standing = sandbox::combine_walls(confined.standing, seen, group_.walls());
  missing_ = order_->spec.required & ~standing;
  if (missing_ != 0)
    return fail(Code::NoSandbox, "required walls do not stand: {}{}{}", model::wall_names(missing_),
                confined.text[0] != '\0' ? "; " : "", confined.text);
  TRY(sandbox::send_signal_to_child(spawned_.gate.get(), sandbox::GateType::Go));
  gate_ready_.reset();
  gate_deadline_.reset();
  spawned_.gate.reset();
  listener_->report_from_now_on();
  launched_.standing = standing;
  launched_.landlock_abi = confined.landlock_abi;
  launched_.confine_us = microseconds_since(listening_, workshop_.loop.now());
  put_text(launched_.memory_cgroup, group_.directory(sandbox::Controller::Memory));
  put_text(launched_.cpu_cgroup, group_.directory(sandbox::Controller::Cpu));
  put_text(launched_.pids_cgroup, group_.directory(sandbox::Controller::Pids));
  state_ = State::Running;
  events_.launched(*this);
  return {};
}

void Process::refuse(Error error, model::WallSet missing) {
  if (!refusal_) refusal_ = std::move(error);
  missing_ = missing;
  gate_ready_.reset();
  gate_deadline_.reset();
  static_cast<void>(kill()); // on_exit() says the rest
}

void Process::on_exit() {
  const auto status = sys::reap(spawned_.pidfd.get());
  if (status && !*status) return;
  ended_.reset();
  gate_ready_.reset();
  gate_deadline_.reset();
  if (grouped()) static_cast<void>(group_.kill()); // the namespace's end has done it already
  listener_.reset();
  image_.reset();
  if (status) {
    exited_.signaled = (*status)->signaled ? 1 : 0;
    exited_.value = (*status)->value;
  }
  if (grouped())
    exited_.out_of_memory = static_cast<std::uint32_t>(group_.out_of_memory_kills().value_or(0));
  const bool ran = state_ == State::Running;
  state_ = State::Exited;
  if (ran) return events_.exited(*this);
  if (!refusal_)
    refusal_ = Error{Code::NoSandbox,
                     fmt::format("the plugin host ended before its sandbox was complete ({} {})",
                                 exited_.signaled != 0 ? "signal" : "status", exited_.value)};
  events_.refused(*this, *refusal_, missing_);
}

Result<> Process::kill() {
  if (state_ == State::Exited) return {};
  if (grouped()) TRY(group_.kill());
  return sys::send_signal(spawned_.pidfd.get(),
                          SIGKILL); // the first of its pid namespace: all of it
}

Result<> Process::freeze() {
  if (state_ != State::Running) return fail(Code::NotRunning, "the process does not run");
  if (grouped()) return group_.freeze(std::chrono::milliseconds(50));
  return sys::send_signal(spawned_.pidfd.get(), SIGSTOP);
}

Result<> Process::thaw() {
  if (state_ != State::Running) return fail(Code::NotRunning, "the process does not run");
  if (grouped()) return group_.thaw();
  return sys::send_signal(spawned_.pidfd.get(), SIGCONT);
}

Result<> Process::settle() {
  if (state_ != State::Running) return fail(Code::NotRunning, "the process does not run");
  listener_->settle();
  return {};
}

bool Process::clean_up() {
  return !grouped() || group_.remove(std::chrono::milliseconds(0)).has_value();
}

} // namespace mohhos::warden
