#include "sandbox/trial.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>

#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/compile.hpp"
#include "sandbox/enter.hpp"
#include "sandbox/explain.hpp"
#include "sandbox/ruling.hpp"
#include "sandbox/spawn.hpp"
#include "sys/file.hpp"
#include "sys/notification.hpp"
#include "sys/process.hpp"
#include "sys/socket.hpp"

namespace mohhos::sandbox {
namespace {

namespace fs = std::filesystem;

constexpr uid_t kTrialUid = 0x7000FFFF; // the last of the range that plugins' uids are from

// --- before: who we are, and what is granted ---

// A user and a mount namespace in which we are root over our own single id.
Result<Ids> become_root_of_a_namespace() {
  const std::string uid_map = fmt::format("0 {} 1\n", ::getuid());
  const std::string gid_map = fmt::format("0 {} 1\n", ::getgid());
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
    return fail_errno(
        "an ordinary user needs user namespaces, and this machine has none for them: unshare");
  const sys::Fd proc(::open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!proc) return fail_errno("/proc/self");
  TRY(sys::write_control(proc.get(), "setgroups", "deny"));
  TRY(sys::write_control(proc.get(), "uid_map", uid_map));
  TRY(sys::write_control(proc.get(), "gid_map", gid_map));
  return Ids{.uid = 0, .gid = 0, .own = false, .drop_groups = false};
}

Result<std::string> find_program(const std::string& name) {
  std::error_code error;
  if (name.contains('/')) {
    const fs::path path = fs::absolute(name, error);
    if (::access(path.c_str(), X_OK) != 0) return fail_errno(name);
    return path.lexically_normal().string();
  }
  const char* path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "/usr/bin:/bin";
  while (!rest.empty()) {
    const std::string_view directory = rest.substr(0, rest.find(':'));
    const std::string candidate = fmt::format("{}/{}", directory, name);
    if (candidate.front() == '/' && ::access(candidate.c_str(), X_OK) == 0) return candidate;
    rest.remove_prefix(std::min(directory.size() + 1, rest.size()));
  }
  return fail(Code::NotFound, "no program '{}' in PATH", name);
}

model::Grant make_grant(const TrialOptions& options, const std::string& program) {
  model::Grant grant;
  grant.capabilities.add(model::Capability::Filesystem);
  grant.capabilities.add(model::Capability::CreateProcesses);
  grant.acl.read = options.read;
  grant.acl.read.push_back(program);
  grant.acl.write = options.write;
  grant.limits.max_memory_mb = options.memory_mb;
  return grant;
}

struct Pipe {
  sys::Fd read;
  sys::Fd write;
};
Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno("pipe2");
  return Pipe{sys::Fd(ends[0]), sys::Fd(ends[1])};
}

// --- while it runs ---

class Trial {
public:
  Trial(const Spec& spec, model::CapabilitySet granted, const TrialOptions& options)
      : spec_(spec), granted_(granted), options_(options) {}

  Result<int> run(const SpawnRequest& request, Pipe output, Pipe errors);

private:
  Result<> at_gate();
  void at_listener();
  void name_refusal(const seccomp_notif& request, std::string path) const;
  Result<int> loop();

  const Spec& spec_;
  model::CapabilitySet granted_;
  const TrialOptions& options_;
  Spawned child_;
  sys::Fd listener_;
  sys::Fd signals_;
  sys::Fd output_;
  sys::Fd errors_;
  bool gone_in_ = false; // Go was said
};

// Passes on what is there; false at the end.
bool pass_on(int from, int to) {
  std::array<char, 16384> buffer; // filled by read
  const ssize_t got = ::read(from, buffer.data(), buffer.size());
  if (got < 0) return errno == EINTR || errno == EAGAIN;
  return got > 0 && sys::write_all(to, {buffer.data(), static_cast<std::size_t>(got)});
}

void say(const std::string& text) {
  (void)sys::write_all(STDERR_FILENO, "mohhos-sandbox: " + text + "\n");
}

Result<> Trial::at_gate() {
  TRY(const auto report, receive_report(child_.gate.get()));
  if (!report) return {};
  if (const auto* failed = std::get_if<GateFailed>(&*report))
    return std::unexpected(to_error(*failed));
  if (const auto* listening = std::get_if<GateListening>(&*report)) {
    TRY(listener_, take_listener(child_.pidfd.get(), *listening));
    return send_signal_to_child(child_.gate.get(), GateType::Proceed);
  }
  if (const auto* confined = std::get_if<GateConfined>(&*report)) {
    if (confined->text[0] != 0 && !options_.quiet) say(fmt::format("weaker: {}", confined->text));
    TRY(send_signal_to_child(child_.gate.get(), GateType::Go));
    gone_in_ = true;
  } else if (!gone_in_) {
    return fail(Code::NoSandbox, "the process ended before it was confined");
  }
  child_.gate.reset();
  return {};
}

void Trial::name_refusal(const seccomp_notif& request, std::string path) const {
  if (options_.quiet || !gone_in_) return; // before: our own probes
  model::Refusal refusal;
  refusal.syscall = request.data.nr;
  std::copy(std::begin(request.data.args), std::end(request.data.args), refusal.arguments.begin());
  refusal.path = std::move(path);
  put_into_words(refusal, "NAME", granted_);
  say(fmt::format("refused: {}: {}", refusal.call, refusal.rule));
}

void Trial::at_listener() {
  const auto call = sys::receive_notification(listener_.get());
  if (!call) return; // it was killed meanwhile
  const Ruling ruling = judge_call(spec_, *call, Phase::Loading);
  if (answer_call(listener_.get(), *call, ruling) && !ruling.pass) name_refusal(*call, ruling.path);
}

Result<int> Trial::loop() {
  for (;;) {
    std::array<pollfd, 6> wait = {
        {{child_.pidfd.get(), POLLIN, 0},
         {child_.gate.get(), POLLIN, 0}, // a negative one is not waited for
         {listener_.get(), POLLIN, 0},
         {output_.get(), POLLIN, 0},
         {errors_.get(), POLLIN, 0},
         {signals_.get(), POLLIN, 0}}};
    if (::poll(wait.data(), wait.size(), -1) < 0 && errno != EINTR) return fail_errno("poll");
    if (wait[1].revents != 0) TRY(at_gate());
    if ((wait[2].revents & POLLIN) != 0)
      at_listener();
    else if (wait[2].revents != 0)
      listener_.reset();
    if (wait[3].revents != 0 && !pass_on(output_.get(), STDOUT_FILENO)) output_.reset();
    if (wait[4].revents != 0 && !pass_on(errors_.get(), STDERR_FILENO)) errors_.reset();
    if (wait[5].revents != 0) (void)sys::send_signal(child_.pidfd.get(), SIGKILL);
    const bool drained = wait[3].revents == 0 && wait[4].revents == 0;
    if (wait[0].revents == 0 || !drained || child_.gate) continue;
    TRY(const auto status, sys::reap(child_.pidfd.get()));
    if (status) return status->signaled ? 128 + status->value : status->value;
  }
}

Result<int> Trial::run(const SpawnRequest& request, Pipe output, Pipe errors) {
  TRY(signals_, sys::make_signalfd({SIGINT, SIGTERM, SIGHUP}));
  TRY(child_, spawn(request));
  output.write.reset();
  errors.write.reset();
  output_ = std::move(output.read);
  errors_ = std::move(errors.read);
  auto result = loop();
  if (!result) { // whatever it was, nothing stays behind
    (void)sys::send_signal(child_.pidfd.get(), SIGKILL);
    siginfo_t info{};
    (void)::waitid(P_PIDFD, static_cast<id_t>(child_.pidfd.get()), &info, WEXITED);
  }
  return result;
}

// --- all of it ---

Result<int> launch(const TrialOptions& options, const std::string& program, const Ids& ids,
                   const Group* group) {
  const model::Grant grant = make_grant(options, program);
  model::Metadata metadata;
  metadata.name = "trial";
  TRY(const Spec spec, compile(grant, metadata, find_system_layout()));
  TRY(const FilterPair filters, compile_filters(grant.capabilities));
  TRY(const sys::Fd boot,
      make_boot(compile_boot(spec, grant, metadata, filters, PluginId{1}, Generation{1})));
  TRY(sys::SocketPair link, sys::make_seqpacket_pair());
  TRY(Pipe output, make_pipe());
  TRY(Pipe errors, make_pipe());
  const sys::Fd host(::open("/proc/self/exe", O_PATH | O_CLOEXEC));
  if (!host) return fail_errno("/proc/self/exe");
  std::vector<const char*> arguments = {kInsideName, program.c_str()};
  for (std::size_t i = 1; i < options.arguments.size(); ++i)
    arguments.push_back(options.arguments[i].c_str());
  arguments.push_back(nullptr);
  const SpawnRequest request{.spec = spec,
                             .ids = ids,
                             .group = group,
                             .host = host.get(),
                             .link = link.second.get(),
                             .boot = boot.get(),
                             .output = output.write.get(),
                             .errors = errors.write.get(),
                             .arguments = arguments};
  return Trial(spec, grant.capabilities, options)
      .run(request, std::move(output), std::move(errors));
}

Result<int> launch_privileged(const TrialOptions& options, const std::string& program) {
  constexpr Ids kIds{.uid = kTrialUid, .gid = kTrialUid};
  Cgroups cgroups = Cgroups::open(static_cast<std::uint32_t>(::getpid()));
  if (cgroups.layout() == CgroupLayout::None) return launch(options, program, kIds, nullptr);
  const model::ResourceLimits limits;
  auto group = cgroups.make("trial", PluginId{1}, Generation{1},
                            {.memory_bytes = options.memory_mb << 20,
                             .cpu_percent = limits.max_cpu_percent,
                             .processes = limits.max_processes});
  auto result =
      group ? launch(options, program, kIds, &*group) : Result<int>(std::unexpected(group.error()));
  if (group) {
    (void)group->kill(); // what the program started and left
    if (auto removed = group->remove(); !removed && result)
      result = std::unexpected(std::move(removed).error());
  }
  cgroups.remove();
  return result;
}

} // namespace

Result<int> run_trial(const TrialOptions& options) {
  if (options.arguments.empty()) return fail(Code::Invalid, "no program to run");
  TRY(const std::string program, find_program(options.arguments.front()));
  if (::geteuid() == 0) return launch_privileged(options, program);
  if (!options.quiet)
    say("as an ordinary user: no uid of its own, no control groups (rlimits stand in); run it as "
        "root for all walls");
  TRY(const Ids ids, become_root_of_a_namespace());
  return launch(options, program, ids, nullptr);
}

Error enter_and_exec(char** arguments) {
  const auto boot = enter();
  if (!boot) return boot.error();
  ::close(kFdLink);
  ::execv(arguments[1], arguments + 1);
  return fail_errno(fmt::format("exec of {} in the sandbox", arguments[1])).error();
}

} // namespace mohhos::sandbox
