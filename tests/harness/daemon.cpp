#include "harness/daemon.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/hash.hpp"

namespace mohhos::test {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

namespace {

constexpr auto kReadyWithin = std::chrono::seconds(20);
constexpr auto kEndsWithin = std::chrono::seconds(20);

int remaining_ms(Clock::time_point deadline) {
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::max<std::int64_t>(left, 0));
}

// A datagram socket that plays systemd's part.
int open_notify_socket(const fs::path& path) {
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string text = path.string();
  if (fd < 0 || text.size() >= sizeof address.sun_path) throw std::runtime_error("notify socket");
  std::memcpy(address.sun_path, text.data(), text.size());
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    throw std::runtime_error("bind " + text);
  }
  fs::permissions(path, fs::perms::all);
  return fd;
}

std::vector<std::string> shared_memory() {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/dev/shm", ignored)) {
    names.push_back(entry.path().string());
  }
  return names;
}

} // namespace

bool am_root() {
  return geteuid() == 0;
}

std::vector<pid_t> descendants(pid_t of) {
  std::vector<pid_t> all;
  std::error_code ignored;
  for (const auto& task : fs::directory_iterator(fmt::format("/proc/{}/task", of), ignored)) {
    std::istringstream children(read_text(task.path() / "children"));
    for (pid_t child = 0; children >> child;) {
      all.push_back(child);
      for (const pid_t grandchild : descendants(child)) all.push_back(grandchild);
    }
  }
  return all;
}

Daemon::Daemon(const DaemonOptions& options)
    : root_(options.root.empty() ? scratch_.path() / "root" : options.root) {
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  fs::create_directories(root_);
  if (!options.prefix.empty()) { // somebody else has to get in
    fs::permissions(scratch_.path(), fs::perms::owner_all | fs::perms::others_exec |
                                         fs::perms::others_read | fs::perms::group_exec);
  }
  shared_before_ = shared_memory();
  if (options.trust_a_key) make_trusted_key();
  spawn(options);
  wait_until_ready();
}

void Daemon::make_trusted_key() const {
  const fs::path base = fs::path(key()).replace_extension();
  for (const auto& command : std::vector<std::vector<std::string>>{
           {program("plugctl"), "--root", root_, "key", "generate", "--out", base},
           {program("plugctl"), "--root", root_, "key", "trust", public_key()}}) {
    const Outcome outcome = run(command);
    if (outcome.code != 0) throw std::runtime_error(outcome.err);
  }
}

Daemon::~Daemon() {
  if (pid_ > 0 && is_alive()) (void)stop();
  for (const pid_t child : pid_ > 0 ? descendants(pid_) : std::vector<pid_t>{})
    kill(child, SIGKILL);
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  if (pidfd_ >= 0) close(pidfd_);
  if (notify_ >= 0) close(notify_);
}

void Daemon::spawn(const DaemonOptions& options) {
  const fs::path notify = scratch_.path() / "notify";
  notify_ = open_notify_socket(notify);
  std::vector<std::string> arguments = options.prefix;
  arguments.push_back(program("mohhosd"));
  arguments.push_back("--root");
  arguments.push_back(root_);
  arguments.insert(arguments.end(), options.arguments.begin(), options.arguments.end());
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const std::string log = scratch_.path() / "log";
  pid_ = fork();
  if (pid_ == 0) {
    const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (out < 0) _exit(126);
    dup2(out, 1);
    dup2(out, 2);
    setenv("NOTIFY_SOCKET", notify.c_str(), 1);
    execvp(argv[0], argv.data());
    _exit(127);
  }
  pidfd_ = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
}

void Daemon::wait_until_ready() {
  const auto deadline = Clock::now() + kReadyWithin;
  std::array<pollfd, 2> fds{{{notify_, POLLIN, 0}, {pidfd_, POLLIN, 0}}};
  while (poll(fds.data(), fds.size(), remaining_ms(deadline)) > 0 && fds[1].revents == 0) {
    std::array<char, 4096> text{};
    const ssize_t size = recv(notify_, text.data(), text.size() - 1, 0);
    if (size > 0 && std::strstr(text.data(), "READY=1") != nullptr) return;
  }
  throw std::runtime_error("mohhosd is not ready:\n" + log());
}

std::string Daemon::stop() {
  kill(pid_, SIGTERM);
  pollfd end{pidfd_, POLLIN, 0};
  std::string said;
  if (poll(&end, 1, remaining_ms(Clock::now() + kEndsWithin)) == 0) {
    said = "mohhosd did not end within 20 s of SIGTERM\n";
    kill(pid_, SIGKILL);
  }
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  if (said.empty() && (!WIFEXITED(status) || WEXITSTATUS(status) != 0)) {
    said += fmt::format("mohhosd ended with status {:#x}\n{}", status, log());
  }
  // (UBSan's runtime writes to standard error, whatever its options say, and who ends of it may be
  // begun again.)
  const std::string text = log();
  if (const auto report = text.find("runtime error: "); report != std::string::npos)
    said += text.substr(text.rfind('\n', report) + 1);
  return said + leftovers();
}

std::string Daemon::leftovers() const {
  std::string left;
  // Orphans are ours now. What has ended is a zombie of ours and goes away here; what runs is a
  // leak.
  while (waitpid(-1, nullptr, WNOHANG) > 0) {
  }
  for (const pid_t child : descendants(getpid())) {
    left += fmt::format("process {} {}\n", child, read_text(fmt::format("/proc/{}/comm", child)));
  }
  std::error_code ignored;
  // Its groups bear the name of its root, whoever is in them.
  const std::string group = fmt::format(
      "mohhos-{:08x}", stable_hash((fs::canonical(root_, ignored) / "run/mohhos").native()));
  const Outcome found = run({"find", "/sys/fs/cgroup", "-name", group, "-type", "d"});
  if (!found.out.empty()) left += "cgroup " + found.out;
  std::istringstream mounts(read_text("/proc/self/mountinfo"));
  for (std::string line; std::getline(mounts, line);) {
    if (line.find(root_.string()) != std::string::npos) left += "mount " + line + "\n";
  }
  for (const std::string& name : shared_memory()) {
    // (Other tests, beside this one, have their directories there.)
    if (name.find("mohhos") != std::string::npos &&
        name.find("mohhos-test-") == std::string::npos &&
        std::find(shared_before_.begin(), shared_before_.end(), name) == shared_before_.end()) {
      left += "shared memory " + name + "\n";
    }
  }
  if (fs::exists(socket(), ignored)) left += "socket " + socket().string() + "\n";
  return left;
}

Outcome Daemon::plugctl(std::vector<std::string> arguments,
                        std::chrono::milliseconds timeout) const {
  arguments.insert(arguments.begin(), program("plugctl"));
  return run(arguments, {{"MOHHOS_SOCKET", socket()}, {"NO_COLOR", "1"}}, timeout);
}

std::string Daemon::value(std::vector<std::string> arguments, const std::string& path) const {
  arguments.insert(arguments.begin(), {"-o", "json"});
  return json(plugctl(std::move(arguments)).out, path);
}

void Daemon::trust_key(const std::string& level) const {
  // "untrusted comment: minisign public key B08A12725892A293"
  std::istringstream text(read_text(public_key()));
  std::string word;
  std::string line;
  std::getline(text, line);
  for (std::istringstream words(line); words >> word;) {
  }
  write_text(etc() / "trust.toml", fmt::format("[keys.{}]\nlevel = \"{}\"\n", word, level));
}

fs::path Daemon::sign(const fs::path& plugin, const std::string& as) const {
  const fs::path copy = root_ / (as.empty() ? plugin.filename().string() : as);
  fs::copy_file(plugin, copy, fs::copy_options::overwrite_existing);
  const Outcome signed_ = run({program("plugctl"), "sign", "--key", key(), copy});
  if (signed_.code != 0) throw std::runtime_error("sign: " + signed_.err);
  return copy;
}

Outcome Daemon::load(const fs::path& plugin) const {
  return plugctl({"load", plugin});
}

Outcome Daemon::load_and_start(const fs::path& plugin, const std::string& name) const {
  Outcome outcome = load(plugin);
  return outcome.code != 0 ? outcome : plugctl({"start", name});
}

void Daemon::grant(const std::string& name, std::string_view toml) const {
  fs::create_directories(etc() / "grants.d");
  write_text(etc() / "grants.d" / (name + ".toml"), toml);
}

bool Daemon::eventually(const std::function<bool()>& condition, std::chrono::milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  while (!condition()) {
    if (Clock::now() >= deadline) return false;
    poll(nullptr, 0, 5); // the condition is asked of another process: there is nothing to wait on
  }
  return true;
}

std::string Daemon::state(const std::string& name) const {
  return value({"info", name}, "state");
}

bool Daemon::wait_for_state(const std::string& name, const std::string& wanted,
                            std::chrono::milliseconds timeout) const {
  return eventually([&] { return state(name) == wanted; }, timeout);
}

void Daemon::kill_hard() {
  const std::vector<pid_t> children = descendants(pid_);
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
  std::vector<int> ends;
  for (const pid_t child : children)
    if (const auto fd = static_cast<int>(syscall(SYS_pidfd_open, child, 0)); fd >= 0)
      ends.push_back(fd);
  for (const pid_t child : children) kill(child, SIGKILL);
  // Until they are gone: whoever begins in the same place must find nobody.
  const auto deadline = Clock::now() + kEndsWithin;
  for (const int fd : ends) {
    pollfd end{fd, POLLIN, 0};
    poll(&end, 1, remaining_ms(deadline));
    close(fd);
  }
}

bool Daemon::is_alive() const {
  pollfd end{pidfd_, POLLIN, 0};
  return poll(&end, 1, 0) == 0;
}

pid_t Daemon::manager_pid() const {
  return static_cast<pid_t>(std::atoi(value({"status"}, "manager_pid").c_str()));
}

std::string Daemon::log() const {
  return read_text(scratch_.path() / "log");
}

} // namespace mohhos::test
