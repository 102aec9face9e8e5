// doctor: what this machine can give, found out by trying; works without a daemon.
//
// A table of questions. Each answer says what is there and, where something is missing, what that
// costs and what to do. Nothing is changed: what has to be tried is tried in a child of our own.
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/landlock.h>
#include <linux/magic.h>

#include "model/version.hpp"
#include "plugctl.hpp"
#include "plugctl_output.hpp"
#include "sys/file.hpp"

#ifndef PR_GET_MDWE
#define PR_GET_MDWE 66 // Linux 6.3
#endif

namespace mohhos::plugctl {
namespace {

using namespace std::chrono_literals;

enum class Health : unsigned char { Good, Weaker, Missing };

struct Answer {
  Health health = Health::Good;
  std::string found;
  std::string advice; // empty when there is nothing to do
};

std::string_view health_name(Health health) {
  switch (health) {
  case Health::Good: return "good";
  case Health::Weaker: return "weaker";
  case Health::Missing: return "missing";
  }
  return "missing";
}

Answer ask_kernel(const Context&) {
  utsname name{};
  ::uname(&name);
  const std::string release = name.release;
  const auto version =
      model::parse_version(release.substr(0, release.find_first_not_of("0123456789.")));
  if (version && *version >= model::Version{6, 1, 0}) return {Health::Good, release, ""};
  return {Health::Missing, release, "mohhosd needs Linux 6.1 or later"};
}

Answer ask_machine(const Context&) {
  utsname name{};
  ::uname(&name);
  if (std::strcmp(name.machine, "x86_64") == 0) return {Health::Good, name.machine, ""};
  return {Health::Missing, name.machine, "the system call filters are written for x86_64"};
}

Answer ask_landlock(const Context&) {
  const long abi =
      ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (abi < 0)
    return {Health::Missing, std::strerror(errno),
            "boot with lsm=landlock,… and a kernel that has it: one wall less, level L1 at most"};
  const std::string found = fmt::format("ABI {}", abi);
  if (abi >= 6) return {Health::Good, found, ""};
  return {Health::Weaker, found, "ABI 6 (Linux 6.12) also closes abstract sockets and signals"};
}

Answer ask_seccomp(const Context&) {
  const auto actions = sys::read_file("/proc/sys/kernel/seccomp/actions_avail", kib(4));
  if (actions && actions->find("user_notif") != std::string::npos)
    return {Health::Good, "filters with notification", ""};
  return {Health::Missing, "no user notification", "the kernel needs CONFIG_SECCOMP_FILTER"};
}

Answer ask_write_execute(const Context&) {
  if (::prctl(PR_GET_MDWE, 0, 0, 0, 0) >= 0) return {Health::Good, "PR_SET_MDWE", ""};
  return {Health::Good, "by the system call filter", ""};
}

// Whether an unprivileged process may make a user namespace: a child tries.
Answer ask_user_namespaces(const Context&) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(::unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 ? 0 : errno);
  int status = 0;
  while (child > 0 && ::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
    return {Health::Good, "allowed", ""};
  const int reason = child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : EAGAIN;
  return {Health::Missing, std::strerror(reason),
          "sysctl user.max_user_namespaces and kernel.unprivileged_userns_clone, or run as root"};
}

Answer ask_uid_ranges(const Context&) {
  if (::geteuid() == 0) return {Health::Good, "root: a uid of its own for every plugin", ""};
  const bool tool = ::access("/usr/bin/newuidmap", X_OK) == 0;
  const auto ranges = sys::read_file("/etc/subuid", mib(1));
  const char* user = std::getenv("USER");
  const bool range =
      ranges && user != nullptr && ranges->find(fmt::format("{}:", user)) != std::string::npos;
  if (tool && range) return {Health::Good, "newuidmap and a range in /etc/subuid", ""};
  return {Health::Weaker, tool ? "no range in /etc/subuid" : "no newuidmap",
          "apt install uidmap, and a line in /etc/subuid and /etc/subgid; until then all plugins "
          "share one uid"};
}

bool is_cgroup2(const char* path) {
  struct statfs status{};
  return ::statfs(path, &status) == 0 && status.f_type == CGROUP2_SUPER_MAGIC;
}

Answer ask_cgroups(const Context&) {
  const bool writable = ::access("/sys/fs/cgroup", W_OK) == 0;
  const std::string advice = writable ? "" : "not yours: limits by rlimits only, no freezer";
  const Health health = writable ? Health::Good : Health::Weaker;
  if (is_cgroup2("/sys/fs/cgroup")) return {health, "v2", advice};
  if (is_cgroup2("/sys/fs/cgroup/unified"))
    return {health, "hybrid: limits by v1, kill and freeze by v2", advice};
  return {Health::Missing, "no v2 tree",
          "mount cgroup2 on /sys/fs/cgroup/unified: limits by rlimits only until then"};
}

Answer ask_keys(const Context& context) {
  const auto keys = context.paths().keys();
  std::error_code error;
  const auto files = std::filesystem::directory_iterator(keys, error);
  const bool any = !error && files != std::filesystem::directory_iterator();
  if (any) return {Health::Good, keys.native(), ""};
  return {Health::Weaker, fmt::format("no keys in {}", keys.native()),
          context.copyable("no plugin can be loaded yet: plugctl key trust FILE.pub")};
}

Answer ask_daemon(const Context& context) {
  auto client = context.connect();
  if (!client) return {Health::Weaker, client.error().text, "start mohhosd"};
  const auto status = client->call<v1::DaemonStatus>(api::Method::Status, v1::Empty(), 2s);
  if (!status) return {Health::Missing, status.error().text, "look into its log"};
  return {Health::Good,
          fmt::format("mohhosd {}, {}, sandbox {} at best", status->version(), status->mode(),
                      status->best_level()),
          ""};
}

struct Question {
  std::string_view id; // in JSON
  Answer (*ask)(const Context&);
};
constexpr std::array kQuestions = {
    Question{"kernel", ask_kernel},
    Question{"machine", ask_machine},
    Question{"landlock", ask_landlock},
    Question{"seccomp", ask_seccomp},
    Question{"write_xor_execute", ask_write_execute},
    Question{"user_namespaces", ask_user_namespaces},
    Question{"uid_ranges", ask_uid_ranges},
    Question{"cgroups", ask_cgroups},
    Question{"keys", ask_keys},
    Question{"daemon", ask_daemon},
};

// Exit code 1 when something is missing without which no plugin runs here.
Result<int> doctor(const Context& context) {
  Json json = envelope();
  Json& checks = json["checks"] = Json::array();
  Table table({{"CHECK"}, {"HEALTH"}, {"FOUND"}, {"WHAT TO DO"}});
  bool sound = true;
  for (const Question& question : kQuestions) {
    const Answer answer = question.ask(context);
    sound = sound && answer.health != Health::Missing;
    checks.push_back({{"id", question.id},
                      {"health", health_name(answer.health)},
                      {"found", answer.found},
                      {"advice", answer.advice}});
    table.add({std::string(question.id), std::string(health_name(answer.health)), answer.found,
               answer.advice});
  }
  json["sound"] = sound;
  if (context.json())
    print_json(json);
  else
    table.print(want_color(context.no_color));
  return sound ? 0 : 1;
}

} // namespace

void add_doctor_command(CLI::App& app, Context& context) {
  CLI::App& command =
      add_command(app, "doctor", "What this machine can give (works without a daemon)");
  command.callback([&context] {
    context.what = "doctor";
    context.run = [&context] { return doctor(context); };
  });
}

} // namespace mohhos::plugctl
