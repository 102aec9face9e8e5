#include "warden/directories.hpp"

#include <array>
#include <cstdlib>

#include <unistd.h>

#include "base/hash.hpp"
#include "sys/directory.hpp"
#include "sys/file.hpp"
#include "sys/mount.hpp"

namespace mohhos::warden {
namespace {

namespace fs = std::filesystem;

const char* variable(const char* name) {
  const char* value = std::getenv(name);
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
  place.instance = stable_hash(place.paths.run.native());
  return place;
}

Result<Directories> prepare_directories(const Place& place, const Identity& identity) {
  const bool own_layout = place.root.empty();
  const auto links = identity.mode == Mode::Privileged ? sys::Links::Refused : sys::Links::Followed;
  const fs::path base_of_run = own_layout ? place.paths.run.parent_path() : place.root;
  const fs::path base = own_layout ? fs::path(variable("HOME")) : place.root;
  const sys::Owner ours{identity.own_uid, identity.own_gid};
  const sys::Owner managers{identity.manager_uid, identity.manager_gid};
  const mode_t open_mode = own_layout ? 0700 : 0755;
  const model::Paths& paths = place.paths;

  Directories made;
  TRY(made.run, sys::make_path(base_of_run, paths.run, open_mode, ours, links));
  auto lock = sys::lock_file_at(made.run.get(), paths.lock());
  if (!lock && lock.error().code == Code::Exists)
    return fail(Code::Exists, "another mohhosd runs at {} ({}); stop it or choose another --root",
                paths.run.native(), lock.error().text);
  TRY(made.lock, std::move(lock));
  TRY(made.images, sys::make_directory_at(made.run.get(), paths.images(), 0711, ours, links));
  TRY(made.etc, sys::make_path(base, paths.etc, open_mode, ours, links));
  for (const fs::path& path : {paths.keys(), paths.grants()})
    TRY(sys::make_directory_at(made.etc.get(), path, open_mode, ours, links));
  TRY(made.state, sys::make_path(base, paths.state, 0750, managers, links));
  TRY(made.log, sys::make_path(base, paths.log, 0750, managers, links));
  return made;
}

Result<> isolate_manager(const Identity& identity, const Place& place,
                         const Directories& directories) {
  fs::path closed;
  if (identity.mode == Mode::Privileged)
    closed = sys::closed_ancestor(place.root, {identity.manager_uid, identity.manager_gid});
  struct Shown {
    const sys::Fd& from;
    const fs::path& to;
    sys::Fd tree;
  };
  std::array shown = {Shown{directories.etc, place.paths.etc, {}},
                      Shown{directories.state, place.paths.state, {}},
                      Shown{directories.log, place.paths.log, {}}};
  for (Shown& each : shown) {
    if (closed.empty() || !each.from) continue;
    TRY(each.tree, sys::clone_tree(each.from.get()));
  }
  TRY(sys::leave_mount_namespace());
  if (closed.empty()) return {};
  TRY(sys::mount_tmpfs(closed, "mode=0755,size=64k"));
  for (const Shown& each : shown) {
    if (!each.tree) continue;
    TRY(sys::make_directories(each.to, 0755));
    TRY(sys::place_tree(each.tree.get(), each.to));
  }
  return {};
}

} // namespace mohhos::warden
