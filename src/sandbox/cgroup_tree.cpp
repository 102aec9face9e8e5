#include "sandbox/cgroup_tree.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/file.hpp"

namespace mohhos::sandbox {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr unsigned kSweepDepth = 6;
constexpr std::size_t kSweepDirectories = 8192;

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    if (end != 0) parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

struct Mount {
  std::string root; // the part of the hierarchy that is mounted
  std::string point;
  std::string_view type;
  std::string_view options;
};

// id parent major:minor root point options fields… - type source superoptions
std::optional<Mount> parse_mount(std::string_view line) {
  const std::vector<std::string_view> words = split(line, ' ');
  const auto dash = std::ranges::find(words, "-");
  if (words.size() < 7 || words.end() - dash < 4) return std::nullopt;
  return Mount{std::string(words[3]), std::string(words[4]), dash[1], dash[3]};
}

// The directory of `own` (as /proc/self/cgroup has it) beneath a mount; nothing where it is not
// visible.
std::optional<std::string> locate(const Mount& mount, std::string_view own) {
  if (own.starts_with("/..")) return std::nullopt;
  if (mount.root != "/") {
    if (!own.starts_with(mount.root)) return std::nullopt;
    own.remove_prefix(mount.root.size());
    if (!own.empty() && own.front() != '/') return std::nullopt; // a neighbour: /a beside /ab
  }
  std::string path = mount.point;
  if (own != "/") path += own;
  if (::access(path.c_str(), X_OK) != 0) return std::nullopt;
  return path;
}

std::optional<std::string> find_own(std::string_view cgroups, std::string_view controller) {
  for (const std::string_view line : split(cgroups, '\n')) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view names = line.substr(first + 1, second - first - 1);
    if (controller.empty() ? names.empty() : has_word(names, controller, ','))
      return std::string(line.substr(second + 1));
  }
  return std::nullopt;
}

} // namespace

bool has_word(std::string_view list, std::string_view word, char separator) {
  const auto words = split(list, separator);
  return std::ranges::find(words, word) != words.end();
}

std::optional<OwnPlace> find_hierarchy(std::string_view mounts, std::string_view cgroups,
                                       std::string_view controller) {
  const auto own = find_own(cgroups, controller);
  if (!own) return std::nullopt;
  for (const std::string_view line : split(mounts, '\n')) {
    const auto mount = parse_mount(line);
    if (!mount || mount->type != (controller.empty() ? "cgroup2" : "cgroup")) continue;
    if (!controller.empty() && !has_word(mount->options, controller, ',')) continue;
    if (auto home = locate(*mount, *own)) return OwnPlace{mount->point, *std::move(home)};
  }
  return std::nullopt;
}

Result<sys::Fd> open_directory(const std::string& path) {
  sys::Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return fail_errno(fmt::format("opening {}", path));
  return fd;
}

Result<> make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) != 0)
    return fail_errno(fmt::format("making the control group {}", path));
  return {};
}

Result<bool> await_event(int directory, std::string_view line, milliseconds patience) {
  const sys::Fd events(::openat(directory, "cgroup.events", O_RDONLY | O_CLOEXEC));
  if (!events) return fail_errno("opening cgroup.events");
  const auto deadline = Clock::now() + patience;
  for (;;) {
    std::array<char, 256> text{};
    const ssize_t got = ::pread(events.get(), text.data(), text.size(), 0);
    if (got < 0) return fail_errno("reading cgroup.events");
    if (has_word({text.data(), static_cast<std::size_t>(got)}, line, '\n')) return true;
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
    if (left.count() <= 0) return false;
    pollfd wait{events.get(), POLLPRI, 0};
    if (::poll(&wait, 1, static_cast<int>(left.count())) < 0 && errno != EINTR)
      return fail_errno("poll");
  }
}

Result<> remove_directory(const std::string& path, milliseconds patience) {
  const auto deadline = Clock::now() + patience;
  while (::rmdir(path.c_str()) != 0) {
    if (errno == ENOENT) return {};
    if (errno != EBUSY || Clock::now() >= deadline)
      return fail_errno(fmt::format("removing {}", path));
    ::poll(nullptr, 0, 1);
  }
  return {};
}

std::uint64_t number_after(std::string_view text, std::string_view key) {
  for (const std::string_view line : split(text, '\n')) {
    if (!line.starts_with(key) || line.size() <= key.size() || line[key.size()] != ' ') continue;
    std::uint64_t value = 0;
    std::from_chars(line.data() + key.size() + 1, line.data() + line.size(), value);
    return value;
  }
  return 0;
}

bool enable(const std::string& directory, std::string_view controller) {
  const auto fd = open_directory(directory);
  if (!fd) return false;
  const auto enabled = sys::read_control(fd->get(), "cgroup.subtree_control");
  if (enabled && has_word(enabled->substr(0, enabled->find('\n')), controller, ' ')) return true;
  return sys::write_control(fd->get(), "cgroup.subtree_control", fmt::format("+{}", controller))
      .has_value();
}

bool is_alone_in(const std::string& directory) {
  const auto fd = open_directory(directory);
  if (!fd) return false;
  const auto processes = sys::read_control(fd->get(), "cgroup.procs");
  return processes && *processes == fmt::format("{}\n", ::getpid());
}

bool move_self(const std::string& directory) {
  const auto fd = open_directory(directory);
  return fd && sys::write_control(fd->get(), "cgroup.procs", fmt::format("{}", ::getpid()));
}

// Level by level, each directory by itself: groups come and go while we look, and one that is gone
// must not end the search.
std::vector<std::string> find_directories(const std::string& top, std::string_view name) {
  std::vector<std::string> found;
  std::vector<std::string> level{top};
  std::size_t seen = 0;
  for (std::size_t depth = 0; depth < kSweepDepth && !level.empty(); ++depth) {
    std::vector<std::string> below;
    for (const std::string& path : level) {
      for (std::string& child : subdirectories(path)) {
        if (++seen > kSweepDirectories) return found;
        if (std::filesystem::path(child).filename() == name)
          found.push_back(std::move(child));
        else
          below.push_back(std::move(child));
      }
    }
    level = std::move(below);
  }
  return found;
}

std::vector<std::string> subdirectories(const std::string& path) {
  std::vector<std::string> found;
  std::error_code ended; // by the end, or because it is gone
  std::error_code gone;
  for (std::filesystem::directory_iterator it(path, ended), end; !ended && it != end;
       it.increment(ended))
    if (it->is_directory(gone)) found.push_back(it->path().string());
  return found;
}

void kill_all_in(const std::string& path) {
  const auto fd = open_directory(path);
  if (!fd) return;
  if (sys::write_control(fd->get(), "cgroup.kill", "1")) return;
  // Of v1, and no v2 group holds them.
  const auto processes = sys::read_control(fd->get(), "cgroup.procs");
  if (!processes) return;
  for (const std::string_view line : split(*processes, '\n')) {
    pid_t pid = 0;
    std::from_chars(line.data(), line.data() + line.size(), pid);
    if (pid > 1 && pid != ::getpid()) ::kill(pid, SIGKILL);
  }
}

} // namespace mohhos::sandbox
