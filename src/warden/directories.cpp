#include "warden/directories.hpp"

#include <array>
#include <cstdlib>

#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/file.hpp"

namespace mohhos::warden {
namespace {

namespace fs = std::filesystem;

enum class Links { Followed, Refused };

struct Owner {
  uid_t uid = 0;
  gid_t gid = 0;
};

std::uint32_t hash_of(std::string_view text) { // FNV-1a
  std::uint32_t hash = 2166136261U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  return hash;
}

const char* variable(const char* name) {
  const char* value = std::getenv(name); // NOLINT(concurrency-mt-unsafe)
  return value != nullptr && *value == '/' ? value : nullptr;
}

Result<fs::path> canonical_root(const std::string& given, bool look_only) {
  if (given.empty()) return fail(Code::Invalid, "--root needs a directory");
  if (!look_only) TRY(sys::make_directories(given, 0755));
  std::error_code error;
  fs::path root = fs::canonical(given, error);
  if (error) return fail(Code::NotFound, "{}: {}", given, error.message());
  return root;
}

// The last component of `path` in `parent`, made if it is missing. One that exists keeps its mode;
// a leaf must belong to its owner, or still to us, who then hand it over.
Result<sys::Fd> make_directory(int parent, const fs::path& path, mode_t mode, Owner owner,
                               Links links, bool leaf) {
  const std::string name = path.filename();
  const bool made = ::mkdirat(parent, name.c_str(), mode) == 0;
  if (!made && errno != EEXIST) return fail_errno(fmt::format("creating {}", path.native()));
  const int nofollow = links == Links::Refused ? O_NOFOLLOW : 0;
  sys::Fd fd(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | nofollow));
  if (!fd && (errno == ELOOP || errno == ENOTDIR))
    return fail(Code::Invalid, "{} is a symbolic link or a file; mohhosd needs a directory there",
                path.native());
  if (!fd) return fail_errno(fmt::format("opening {}", path.native()));
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return fail_errno(fmt::format("stat of {}", path.native()));
  const bool ours = status.st_uid == ::geteuid();
  if (leaf && status.st_uid != owner.uid && !ours)
    return fail(Code::Denied, "{} belongs to uid {}, and must belong to uid {}; chown or remove it",
                path.native(), status.st_uid, owner.uid);
  if ((made || (leaf && status.st_uid != owner.uid)) &&
      ::fchown(fd.get(), owner.uid, owner.gid) != 0)
    return fail_errno(fmt::format("chown of {}", path.native()));
  if (made && ::fchmod(fd.get(), mode) != 0)
    return fail_errno(fmt::format("chmod of {}", path.native()));
  return fd;
}

// Every component below `from` (which exists), the last with its own mode and owner.
Result<sys::Fd> make_path(const fs::path& from, const fs::path& path, mode_t mode, Owner owner,
                          Links links) {
  sys::Fd fd(::open(from.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno(fmt::format("opening {}", from.native()));
  fs::path built = from;
  const fs::path below = path.lexically_relative(from);
  for (auto part = below.begin(); part != below.end(); ++part) {
    built /= *part;
    const bool last = std::next(part) == below.end();
    const Owner ours{::geteuid(), ::getegid()};
    TRY(fd, make_directory(fd.get(), built, last ? mode : 0755, last ? owner : ours, links, last));
  }
  return fd;
}

// Whoever ends removes the lock's file under the lock; one that waited meanwhile holds a file that
// is nobody's, and tries again.
Result<sys::Fd> take_lock(int run, const fs::path& path) {
  const std::string name = path.filename();
  for (;;) {
    constexpr int kFlags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    sys::Fd fd(::openat(run, name.c_str(), kFlags, 0600));
    if (!fd) return fail_errno(fmt::format("opening {}", path.native()));
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return fail_errno(fmt::format("locking {}", path.native()));
      const std::string pid = sys::read_all(fd.get(), kib(1)).value_or("");
      return fail(Code::Exists,
                  "another mohhosd (process {}) runs at {}; stop it or choose another --root",
                  pid.substr(0, pid.find('\n')), path.parent_path().native());
    }
    struct stat mine{};
    struct stat named{};
    if (::fstat(fd.get(), &mine) != 0 ||
        ::fstatat(run, name.c_str(), &named, AT_SYMLINK_NOFOLLOW) != 0 ||
        mine.st_ino != named.st_ino)
      continue;
    if (::ftruncate(fd.get(), 0) != 0)
      return fail_errno(fmt::format("truncating {}", path.native()));
    if (auto written = sys::write_all(fd.get(), fmt::format("{}\n", ::getpid())); !written)
      return std::unexpected(
          std::move(written).error().within(fmt::format("writing {}", path.native())));
    return fd;
  }
}

// The highest directory on the way to `path` that the uid may not search; empty: none.
fs::path closed_ancestor(const fs::path& path, const Identity& identity) {
  fs::path built;
  for (const auto& part : path) {
    built /= part;
    struct stat status{};
    if (::stat(built.c_str(), &status) != 0) continue;
    const mode_t bit = status.st_uid == identity.manager_uid   ? S_IXUSR
                       : status.st_gid == identity.manager_gid ? S_IXGRP
                                                               : S_IXOTH;
    if ((status.st_mode & bit) == 0) return built;
  }
  return {};
}

int clone_tree(int directory) {
  constexpr unsigned kFlags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE;
  return static_cast<int>(::syscall(SYS_open_tree, directory, "", kFlags));
}

} // namespace

Result<Place> find_place(const std::optional<std::string>& root, bool look_only) {
  Place place;
  if (root || ::geteuid() == 0) {
    TRY(place.root, canonical_root(root.value_or("/"), look_only));
    place.paths = model::paths_under(place.root);
  } else {
    const char* runtime = variable("XDG_RUNTIME_DIR");
    const char* home = variable("HOME");
    if (runtime == nullptr || home == nullptr)
      return fail(Code::Invalid, "XDG_RUNTIME_DIR or HOME is not set: say where with --root DIR");
    place.paths = model::paths_of_user(runtime, home);
  }
  place.instance = hash_of(place.paths.run.native());
  return place;
}

Result<Directories> prepare_directories(const Place& place, const Identity& identity) {
  const bool own_layout = place.root.empty();
  const Links links = identity.mode == Mode::Privileged ? Links::Refused : Links::Followed;
  const fs::path base_of_run = own_layout ? place.paths.run.parent_path() : place.root;
  const fs::path base = own_layout ? fs::path(variable("HOME")) : place.root;
  const Owner ours{identity.own_uid, identity.own_gid};
  const Owner managers{identity.manager_uid, identity.manager_gid};
  const mode_t open_mode = own_layout ? 0700 : 0755;
  const model::Paths& paths = place.paths;

  Directories made;
  TRY(made.run, make_path(base_of_run, paths.run, open_mode, ours, links));
  TRY(made.lock, take_lock(made.run.get(), paths.lock()));
  TRY(made.images, make_directory(made.run.get(), paths.images(), 0711, ours, links, true));
  TRY(made.etc, make_path(base, paths.etc, open_mode, ours, links));
  TRY(make_directory(made.etc.get(), paths.keys(), open_mode, ours, links, true));
  TRY(make_directory(made.etc.get(), paths.grants(), open_mode, ours, links, true));
  TRY(made.state, make_path(base, paths.state, 0750, managers, links));
  TRY(made.log, make_path(base, paths.log, 0750, managers, links));
  return made;
}

Result<> isolate_manager(const Identity& identity, const Place& place,
                         const Directories& directories) {
  const fs::path closed =
      identity.mode == Mode::Privileged ? closed_ancestor(place.root, identity) : fs::path();
  struct Shown {
    const sys::Fd& from;
    const fs::path& to;
    sys::Fd tree;
  };
  std::array shown = {Shown{directories.etc, place.paths.etc, {}},
                      Shown{directories.state, place.paths.state, {}},
                      Shown{directories.log, place.paths.log, {}}};
  // A tree can be cloned only in the namespace that it belongs to: before we leave it.
  for (Shown& each : shown) {
    if (closed.empty() || !each.from) continue;
    each.tree = sys::Fd(clone_tree(each.from.get()));
    if (!each.tree) return fail_errno(fmt::format("open_tree of {}", each.to.native()));
  }
  if (::unshare(CLONE_NEWNS) != 0) return fail_errno("a mount namespace");
  if (closed.empty()) return {};
  constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (::mount("mohhos", closed.c_str(), "tmpfs", kFlags, "mode=0755,size=64k") != 0)
    return fail_errno(fmt::format("covering {}", closed.native()));
  for (const Shown& each : shown) {
    if (!each.tree) continue;
    TRY(sys::make_directories(each.to, 0755));
    if (::syscall(SYS_move_mount, each.tree.get(), "", AT_FDCWD, each.to.c_str(),
                  MOVE_MOUNT_F_EMPTY_PATH) != 0)
      return fail_errno(fmt::format("showing {} to the manager", each.to.native()));
  }
  return {};
}

} // namespace mohhos::warden
