// A child seen from outside, through /proc, and what a machine can give at all.
#include <algorithm>
#include <array>
#include <charconv>
#include <string>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/landlock.hpp"
#include "sandbox/probe.hpp"
#include "sandbox/spawn.hpp"
#include "sys/file.hpp"

namespace mohhos::sandbox {
namespace {

using model::Wall;

struct NamespaceRow {
  const char* name;
  Wall wall;
};
constexpr std::array kNamespaces = {
    NamespaceRow{"ns/user", Wall::UserNamespace},     NamespaceRow{"ns/mnt", Wall::MountNamespace},
    NamespaceRow{"ns/pid", Wall::PidNamespace},       NamespaceRow{"ns/net", Wall::NetNamespace},
    NamespaceRow{"ns/ipc", Wall::IpcNamespace},       NamespaceRow{"ns/uts", Wall::UtsNamespace},
    NamespaceRow{"ns/cgroup", Wall::CgroupNamespace},
};

constexpr std::array<std::string_view, 5> kCapabilitySets = {"CapInh", "CapPrm", "CapEff", "CapBnd",
                                                             "CapAmb"};

// The rest of the line "Key:\t…", or nothing.
std::string_view field(std::string_view status, std::string_view key) {
  while (!status.empty()) {
    const std::string_view line = status.substr(0, status.find('\n'));
    if (line.starts_with(key) && line.size() > key.size() && line[key.size()] == ':') {
      std::string_view value = line.substr(key.size() + 1);
      value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
      return value.substr(0, value.find_last_not_of(" \t") + 1);
    }
    status.remove_prefix(std::min(line.size() + 1, status.size()));
  }
  return {};
}

bool only_zeros(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c == '0'; });
}

bool has_ids(std::string_view status, const Ids& ids) {
  const std::string uids = fmt::format("{0}\t{0}\t{0}\t{0}", ids.uid);
  const std::string gids = fmt::format("{0}\t{0}\t{0}\t{0}", ids.gid);
  const bool groups = !ids.drop_groups || field(status, "Groups").empty();
  return field(status, "Uid") == uids && field(status, "Gid") == gids && groups;
}

// /proc/PID/stat: pid (name) state ppid pgrp session tty_nr …; the name may hold anything, so from
// its last ')'.
bool has_no_terminal(std::string_view stat, pid_t pid) {
  const std::size_t end = stat.rfind(')');
  if (end == std::string_view::npos) return false;
  std::string_view rest = stat.substr(end + 1);
  std::array<long, 6> values{}; // 0: state, 1: ppid, 2: pgrp, 3: session, 4: tty_nr
  for (long& value : values) {
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
    const std::string_view word = rest.substr(0, rest.find(' '));
    std::from_chars(word.data(), word.data() + word.size(), value);
    rest.remove_prefix(word.size());
  }
  return values[3] == pid && values[4] == 0;
}

model::WallSet different_namespaces(int self, int other) {
  model::WallSet walls = 0;
  for (const NamespaceRow& row : kNamespaces) {
    struct stat ours{};
    struct stat theirs{};
    if (::fstatat(self, row.name, &ours, 0) != 0 || ::fstatat(other, row.name, &theirs, 0) != 0)
      continue;
    if (ours.st_ino != theirs.st_ino || ours.st_dev != theirs.st_dev)
      walls |= model::wall_bit(row.wall);
  }
  return walls;
}

} // namespace

Result<model::WallSet> inspect(pid_t pid, const Ids& ids) {
  const sys::Fd self(::open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC));
  const sys::Fd other(
      ::open(fmt::format("/proc/{}", pid).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!self || !other) return fail_errno(fmt::format("opening /proc/{}", pid));
  TRY(const std::string status, sys::read_control(other.get(), "status"));
  TRY(const std::string stat, sys::read_control(other.get(), "stat"));
  model::WallSet walls = different_namespaces(self.get(), other.get());
  if (ids.own && has_ids(status, ids)) walls |= model::wall_bit(Wall::OwnUid);
  if (std::ranges::all_of(kCapabilitySets,
                          [&](std::string_view set) { return only_zeros(field(status, set)); }))
    walls |= model::wall_bit(Wall::NoCapabilities);
  if (field(status, "NoNewPrivs") == "1") walls |= model::wall_bit(Wall::NoNewPrivileges);
  if (field(status, "Seccomp") == "2") walls |= model::wall_bit(Wall::Seccomp);
  if (has_no_terminal(stat, pid)) walls |= model::wall_bit(Wall::NoTerminal);
  return walls;
}

model::WallSet combine_walls(model::WallSet probed, model::WallSet seen, model::WallSet limits) {
  constexpr model::WallSet kJudged = kSeenFromOutside | kProbedInside;
  return (kJudged & (seen | ~kSeenFromOutside) & (probed | ~kProbedInside)) | limits;
}

Buildable find_buildable(const Cgroups& cgroups, bool own_uids) {
  Buildable buildable{.walls = model::walls_of(model::SandboxLevel::L1),
                      .landlock_abi = landlock_abi()};
  for (const NamespaceRow& row : kNamespaces)
    if (::access(fmt::format("/proc/self/{}", row.name).c_str(), F_OK) != 0)
      buildable.walls &= ~model::wall_bit(row.wall);
  buildable.walls |= cgroups.walls();
  if (own_uids) buildable.walls |= model::wall_bit(Wall::OwnUid);
  if (buildable.landlock_abi >= 1) buildable.walls |= model::wall_bit(Wall::Landlock);
  if (buildable.landlock_abi >= 6) buildable.walls |= model::wall_bit(Wall::LandlockScope);
  return buildable;
}

} // namespace mohhos::sandbox
