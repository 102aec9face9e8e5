#include "sys/user_namespace.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <string>
#include <vector>

#include <fcntl.h>
#include <pwd.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/exec.hpp"
#include "sys/file.hpp"

namespace mohhos::sys {
namespace {

constexpr const char* kNewuidmap = "/usr/bin/newuidmap";
constexpr const char* kNewgidmap = "/usr/bin/newgidmap";

std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(separators), text.size());
    if (end > 0) parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

std::optional<std::uint32_t> number(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

struct Subordinates {
  IdRange uids;
  IdRange gids;
};

std::optional<Subordinates> find_subordinates(uid_t uid, std::uint32_t limit) {
  if (::access(kNewuidmap, X_OK) != 0 || ::access(kNewgidmap, X_OK) != 0) return std::nullopt;
  const passwd* user = ::getpwuid(uid);
  const std::string name = user != nullptr ? user->pw_name : "";
  const auto subuid = read_file("/etc/subuid", mib(1));
  const auto subgid = read_file("/etc/subgid", mib(1));
  if (!subuid || !subgid) return std::nullopt;
  auto uids = find_subordinate(*subuid, name, uid);
  auto gids = find_subordinate(*subgid, name, uid);
  if (!uids || !gids) return std::nullopt;
  uids->count = gids->count = std::min({uids->count, gids->count, limit});
  return Subordinates{*uids, *gids};
}

// newuidmap PID inside outside 1 base first count
bool run_mapper(const char* program, pid_t target, std::uint32_t inside, std::uint32_t outside,
                std::uint32_t base, IdRange range) {
  std::vector<std::string> words = {
      program, fmt::to_string(target), fmt::to_string(inside),      fmt::to_string(outside),
      "1",     fmt::to_string(base),   fmt::to_string(range.first), fmt::to_string(range.count)};
  const std::vector<char*> arguments = pointers(words);
  const pid_t child = ::fork();
  if (child == 0) {
    char* environment[] = {nullptr};
    ::execve(program, arguments.data(), environment);
    ::_exit(127);
  }
  int status = 0;
  return child > 0 && ::waitpid(child, &status, 0) == child && WIFEXITED(status) &&
         WEXITSTATUS(status) == 0;
}

// The process that stays outside. It waits until we are inside (a byte), maps, and says with its
// exit status how that went: 0, 1 nothing was mapped, 2 uids without gids.
struct Mapper {
  pid_t pid = -1;
  Fd inside;
};

Result<Mapper> start_mapper(const NamespaceIds& ids, const Subordinates& ranges) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("pipe");
  Fd wait_end(ends[0]);
  Fd go_end(ends[1]);
  const pid_t target = ::getpid();
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  const pid_t pid = ::fork();
  if (pid < 0) return fail_errno("fork");
  if (pid > 0) return Mapper{pid, std::move(go_end)};
  go_end.reset();
  char byte = 0;
  if (::read(wait_end.get(), &byte, 1) != 1) ::_exit(1);
  if (!run_mapper(kNewuidmap, target, ids.own_uid, uid, ids.base, ranges.uids)) ::_exit(1);
  ::_exit(run_mapper(kNewgidmap, target, ids.own_gid, gid, ids.base, ranges.gids) ? 0 : 2);
}

Result<> unshare_user() {
  if (::unshare(CLONE_NEWUSER) == 0) return {};
  return fail(Code::Denied,
              "an ordinary user needs a user namespace, and this kernel refuses it ({}); allow it "
              "(sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, "
              "kernel.apparmor_restrict_unprivileged_userns) or start it as root",
              fail_errno("unshare").error().text);
}

// False: newuidmap would not, and nothing is mapped yet.
Result<bool> enter_with(const NamespaceIds& ids, const Subordinates& ranges) {
  TRY(Mapper mapper, start_mapper(ids, ranges));
  const auto entered = unshare_user();
  if (entered) TRY(write_all(mapper.inside.get(), "!"));
  mapper.inside.reset();
  int status = 0;
  while (::waitpid(mapper.pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!entered) return std::unexpected(entered.error());
  if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
    return fail(Code::Failed, "{} could not map the range of /etc/subgid", kNewgidmap);
  return WEXITSTATUS(status) == 0;
}

Result<> map_own_id(const NamespaceIds& ids, uid_t uid, gid_t gid) {
  const Fd self(::open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!self) return fail_errno("opening /proc/self");
  TRY(write_control(self.get(), "uid_map", fmt::format("{} {} 1", ids.own_uid, uid)));
  TRY(write_control(self.get(), "setgroups", "deny"));
  return write_control(self.get(), "gid_map", fmt::format("{} {} 1", ids.own_gid, gid));
}

} // namespace

std::optional<IdRange> find_subordinate(std::string_view file, std::string_view name, uid_t uid) {
  for (const std::string_view line : split(file, "\n")) {
    const auto fields = split(line, ":");
    if (fields.size() != 3) continue;
    if ((name.empty() || fields[0] != name) && number(fields[0]) != uid) continue;
    const auto first = number(fields[1]);
    const auto count = number(fields[2]);
    if (!first || !count || *first == 0 || *count == 0 || *count > UINT32_MAX - *first) continue;
    return IdRange{*first, *count};
  }
  return std::nullopt;
}

bool maps_range(std::string_view uid_map, std::uint32_t first, std::uint32_t last) {
  for (const std::string_view line : split(uid_map, "\n")) {
    const auto fields = split(line, " \t");
    if (fields.size() != 3) continue;
    const auto inside = number(fields[0]);
    const auto count = number(fields[2]);
    if (inside && count && first >= *inside && last - *inside < *count) return true;
  }
  return false;
}

Result<std::uint32_t> enter_user_namespace(const NamespaceIds& ids) {
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  const auto ranges = find_subordinates(uid, ids.limit);
  if (ranges) {
    TRY(const bool mapped, enter_with(ids, *ranges));
    if (mapped) return ranges->uids.count;
  } else {
    TRY(unshare_user());
  }
  TRY(map_own_id(ids, uid, gid));
  return 0;
}

} // namespace mohhos::sys
