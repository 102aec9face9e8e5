#include "warden/identity.hpp"

#include <algorithm>
#include <charconv>
#include <vector>

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/file.hpp"
#include "warden/log.hpp"

namespace mohhos::warden {
namespace {

constexpr uid_t kOverflowUid = 65534; // what every unmapped id looks like
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

std::optional<Subordinates> find_subordinates(uid_t uid) {
  if (::access(kNewuidmap, X_OK) != 0 || ::access(kNewgidmap, X_OK) != 0) return std::nullopt;
  const passwd* user = ::getpwuid(uid); // NOLINT(concurrency-mt-unsafe)
  const std::string name = user != nullptr ? user->pw_name : "";
  const auto subuid = sys::read_file("/etc/subuid", mib(1));
  const auto subgid = sys::read_file("/etc/subgid", mib(1));
  if (!subuid || !subgid) return std::nullopt;
  const auto uids = find_subordinate(*subuid, name, uid);
  const auto gids = find_subordinate(*subgid, name, uid);
  if (!uids || !gids) return std::nullopt;
  return Subordinates{*uids, *gids};
}

// newuidmap PID inside outside 1 base first count
bool run_mapper(const char* program, pid_t target, std::uint32_t inside, std::uint32_t outside,
                std::uint32_t base, IdRange range) {
  std::vector<std::string> words = {
      program, fmt::to_string(target), fmt::to_string(inside),      fmt::to_string(outside),
      "1",     fmt::to_string(base),   fmt::to_string(range.first), fmt::to_string(range.count)};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
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

// The process that stays outside: only there may newuidmap be asked to map us. It waits until we
// are inside (a byte), maps, and says with its exit status how it went: 0, 1 no uids, 2 no gids.
struct Mapper {
  pid_t pid = -1;
  sys::Fd inside; // write a byte when the namespace exists
};

Result<Mapper> start_mapper(const Identity& identity, const Subordinates& ranges, uid_t uid,
                            gid_t gid) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("pipe");
  sys::Fd wait_end(ends[0]);
  sys::Fd go_end(ends[1]);
  const pid_t target = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return fail_errno("fork");
  if (pid > 0) return Mapper{pid, std::move(go_end)};
  go_end.reset();
  char byte = 0;
  if (::read(wait_end.get(), &byte, 1) != 1) ::_exit(3);
  if (!run_mapper(kNewuidmap, target, identity.own_uid, uid, identity.uid_base, ranges.uids))
    ::_exit(1);
  ::_exit(run_mapper(kNewgidmap, target, identity.own_gid, gid, identity.uid_base, ranges.gids)
              ? 0
              : 2);
}

Result<> map_own_id_only(const Identity& identity, uid_t uid, gid_t gid) {
  const sys::Fd self(::open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!self) return fail_errno("opening /proc/self");
  TRY(sys::write_control(self.get(), "uid_map", fmt::format("{} {} 1", identity.own_uid, uid)));
  TRY(sys::write_control(self.get(), "setgroups", "deny"));
  return sys::write_control(self.get(), "gid_map", fmt::format("{} {} 1", identity.own_gid, gid));
}

Result<> enter_user_namespace() {
  if (::unshare(CLONE_NEWUSER) == 0) return {};
  return fail(Code::Denied,
              "an ordinary user needs a user namespace, and this kernel refuses it ({}); allow it "
              "(sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, "
              "kernel.apparmor_restrict_unprivileged_userns) or start mohhosd as root",
              fail_errno("unshare").error().text);
}

Result<Identity> become_user() {
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  Identity identity;
  // Whoever is not mapped looks like the overflow uid: nobody must not be taken for themselves.
  identity.own_uid = uid == kOverflowUid ? kManagerUid : uid;
  identity.own_gid = gid == kOverflowUid ? kManagerUid : gid;
  identity.manager_uid = identity.own_uid;
  identity.manager_gid = identity.own_gid;

  if (auto ranges = find_subordinates(uid)) {
    identity.mode = Mode::UserWithSubuids;
    identity.uid_base = kManagerUid + 1;
    identity.uid_count = std::min({ranges->uids.count, ranges->gids.count, kUidsPerInstance});
    ranges->uids.count = ranges->gids.count = identity.uid_count;
    TRY(Mapper mapper, start_mapper(identity, *ranges, uid, gid));
    auto entered = enter_user_namespace();
    if (entered) TRY(sys::write_all(mapper.inside.get(), "!"));
    mapper.inside.reset();
    int status = 0;
    while (::waitpid(mapper.pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!entered) return std::unexpected(std::move(entered).error());
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return identity;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 1)
      return fail(Code::Failed, "{} could not map the range of /etc/subgid", kNewgidmap);
    say("{} could not map the range of /etc/subuid: all plugins share one uid", kNewuidmap);
  } else {
    TRY(enter_user_namespace());
  }
  identity.mode = Mode::User;
  identity.uid_base = identity.own_uid;
  identity.uid_count = 1;
  TRY(map_own_id_only(identity, uid, gid));
  return identity;
}

Identity become_root(std::uint32_t instance) {
  Identity identity{.mode = Mode::Privileged,
                    .own_uid = 0,
                    .own_gid = ::getegid(),
                    .manager_uid = kManagerUid,
                    .manager_gid = kManagerUid,
                    .client_gid = std::nullopt,
                    .uid_base = uid_base_of(instance),
                    .uid_count = kUidsPerInstance};
  if (const passwd* user = ::getpwnam("mohhos")) { // NOLINT(concurrency-mt-unsafe)
    identity.manager_uid = user->pw_uid;
    identity.manager_gid = user->pw_gid;
  }
  if (const group* clients = ::getgrnam("mohhos"))
    identity.client_gid = clients->gr_gid; // NOLINT(concurrency-mt-unsafe)
  return identity;
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

bool maps_plugin_ids(std::string_view uid_map) {
  for (const std::string_view line : split(uid_map, "\n")) {
    const auto fields = split(line, " \t");
    if (fields.size() != 3) continue;
    const auto inside = number(fields[0]);
    const auto count = number(fields[2]);
    if (inside && count && kManagerUid >= *inside &&
        static_cast<std::uint64_t>(*inside) + *count >= 0x80000000ULL)
      return true;
  }
  return false;
}

uid_t uid_base_of(std::uint32_t instance) {
  return kManagerUid + kUidsPerInstance * (1 + instance % 4094);
}

Result<Identity> take_identity(std::uint32_t instance) {
  TRY(const std::string uid_map, [] {
    const sys::Fd self(::open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC));
    return sys::read_control(self.get(), "uid_map");
  }());
  if (::geteuid() == 0 && maps_plugin_ids(uid_map)) return become_root(instance);
  return become_user();
}

Result<> leave_mount_namespace() {
  if (::unshare(CLONE_NEWNS) != 0)
    return fail(Code::Denied, "a mount namespace of its own: {} (CAP_SYS_ADMIN is needed)",
                fail_errno("unshare").error().text);
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0)
    return fail_errno("making / a slave mount");
  return {};
}

} // namespace mohhos::warden
