#include "launcher.hpp"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <mutex>
#include <thread>

#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/ruling.hpp"
#include "sys/socket.hpp"

namespace mohhos::sandbox::tests {
namespace {

constexpr int kPatienceMs = 5000;

bool is_open(int number) {
  return number == SYS_open || number == SYS_openat || number == SYS_openat2;
}

std::string read_path(pid_t pid, std::uint64_t address) {
  char text[kPathSize] = {};
  const iovec local{text, sizeof text - 1};
  const iovec remote{reinterpret_cast<void*>(address), sizeof text - 1};
  (void)::process_vm_readv(pid, &local, 1, &remote, 1, 0);
  return text;
}

Result<GateReport> next_report(int gate) {
  pollfd wait{gate, POLLIN, 0};
  if (::poll(&wait, 1, kPatienceMs) != 1) return fail(Code::TimedOut, "the child says nothing");
  TRY(auto report, receive_report(gate));
  if (!report) return fail(Code::Failed, "poll woke for nothing");
  if (const auto* failed = std::get_if<GateFailed>(&*report))
    return std::unexpected(to_error(*failed));
  if (std::get_if<GateClosed>(&*report) != nullptr)
    return fail(Code::PeerGone, "the child closed the gate");
  return *std::move(report);
}

} // namespace

struct Inmate::Watch {
  sys::Fd listener;
  sys::Fd stop;
  const Spec* spec = nullptr;
  std::atomic<bool> counting = false;
  mutable std::mutex mutex;
  std::vector<int> refused;
  std::thread thread;

  void run() {
    for (;;) {
      pollfd wait[2] = {{listener.get(), POLLIN, 0}, {stop.get(), POLLIN, 0}};
      if (::poll(wait, 2, -1) < 0 || wait[1].revents != 0 || (wait[0].revents & POLLHUP) != 0)
        return;
      answer_one();
    }
  }

  void answer_one() {
    seccomp_notif request{};
    if (::ioctl(listener.get(), SECCOMP_IOCTL_NOTIF_RECV, &request) != 0) return;
    seccomp_notif_resp response{};
    response.id = request.id;
    response.error = -EPERM;
    if (is_open(request.data.nr)) {
      const std::string path = read_path(static_cast<pid_t>(request.pid),
                                         request.data.args[request.data.nr != SYS_open]);
      const bool inside = classify_path(*spec, path) != PathClass::Outside;
      response.error = inside ? 0 : -EACCES;
      response.flags = inside ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0;
    } else if (judge_call(*spec, request, Phase::Loading).pass) { // code of a library
      response.error = 0;
      response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    } else if (counting) {
      const std::lock_guard lock(mutex);
      refused.push_back(request.data.nr);
    }
    (void)::ioctl(listener.get(), SECCOMP_IOCTL_NOTIF_SEND, &response);
  }

  ~Watch() {
    (void)::eventfd_write(stop.get(), 1);
    if (thread.joinable()) thread.join();
  }
};

Inmate::Inmate() = default;
Inmate::Inmate(Inmate&& other) noexcept = default;

Result<Inmate> Inmate::launch(const LaunchOptions& options) {
  Inmate inmate;
  model::Metadata metadata;
  metadata.name = "inmate";
  static const SystemLayout system = find_system_layout();
  TRY(Spec spec, compile(options.grant, metadata, system));
  inmate.spec_ = std::make_unique<Spec>(spec);
  static FilterCache cache;
  TRY(const FilterPair* filters, cache.find(options.grant.capabilities));
  TRY(const sys::Fd boot,
      make_boot(compile_boot(spec, options.grant, metadata, *filters, PluginId{1}, Generation{1})));
  TRY(sys::SocketPair link, sys::make_seqpacket_pair());
  (void)::fcntl(link.second.get(), F_SETFL, 0);
  const sys::Fd host(::open(SANDBOX_INMATE, O_PATH | O_CLOEXEC));
  const sys::Fd output(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!host || !output) return fail_errno("opening the inmate");
  TRY(inmate.spawned_, spawn({.spec = *inmate.spec_,
                              .ids = options.ids,
                              .group = options.group,
                              .host = host.get(),
                              .link = link.second.get(),
                              .boot = boot.get(),
                              .output = output.get(),
                              .errors = output.get(),
                              .arguments = {}}));
  inmate.link_ = std::move(link.first);
  const int gate = inmate.spawned_.gate.get();
  TRY(const GateReport first, next_report(gate));
  const auto* listening = std::get_if<GateListening>(&first);
  if (listening == nullptr) return fail(Code::Malformed, "the first record is not Listening");
  inmate.watch_ = std::make_unique<Watch>();
  TRY(inmate.watch_->listener, take_listener(inmate.spawned_.pidfd.get(), *listening));
  inmate.watch_->stop.reset(::eventfd(0, EFD_CLOEXEC));
  inmate.watch_->spec = inmate.spec_.get();
  inmate.watch_->thread = std::thread([watch = inmate.watch_.get()] { watch->run(); });
  TRY(send_signal_to_child(gate, GateType::Proceed));
  TRY(const GateReport second, next_report(gate));
  const auto* confined = std::get_if<GateConfined>(&second);
  if (confined == nullptr) return fail(Code::Malformed, "the second record is not Confined");
  inmate.confined_ = *confined;
  TRY(inmate.seen_, inspect(inmate.spawned_.pid, options.ids));
  TRY(send_signal_to_child(gate, GateType::Go));
  inmate.watch_->counting = true;
  return inmate;
}

Inmate::~Inmate() {
  watch_.reset();
  if (!spawned_.pidfd || reaped_) return;
  (void)sys::send_signal(spawned_.pidfd.get(), SIGKILL);
  (void)wait();
}

std::optional<int> Inmate::ask(const std::string& question) {
  (void)::send(link_.get(), question.data(), question.size(), MSG_NOSIGNAL);
  pollfd wait{link_.get(), POLLIN, 0};
  std::int32_t answer = 0;
  if (::poll(&wait, 1, kPatienceMs) != 1 ||
      ::recv(link_.get(), &answer, sizeof answer, 0) != sizeof answer)
    return std::nullopt;
  return answer;
}

std::optional<sys::ExitStatus> Inmate::wait() {
  pollfd ended{spawned_.pidfd.get(), POLLIN, 0};
  if (::poll(&ended, 1, kPatienceMs) != 1) return std::nullopt;
  auto status = sys::reap(spawned_.pidfd.get());
  reaped_ = true;
  return status ? *status : std::nullopt;
}

std::vector<int> Inmate::refused() const {
  const std::lock_guard lock(watch_->mutex);
  return watch_->refused;
}

model::Grant plain_grant() {
  return {};
}

std::string why_no_launch() {
  if (::geteuid() != 0) return "not root (the user mode's tests are in UserLaunch)";
  if (::access("/proc/self/ns/user", F_OK) != 0) return "this kernel has no user namespaces";
  return {};
}

} // namespace mohhos::sandbox::tests
