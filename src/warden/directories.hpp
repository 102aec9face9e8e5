// The places of one instance: made with explicit owners and modes, held by descriptor.
//
// As root nothing on the way below the root directory may be a symbolic link: whoever could plant
// one there would have root write somewhere else.
#pragma once

#include <optional>
#include <string>

#include "model/paths.hpp"
#include "sys/fd.hpp"
#include "warden/identity.hpp"

namespace mohhos::warden {

struct Place {
  std::filesystem::path root; // canonical; empty: the ordinary user's own layout
  model::Paths paths;
  std::uint32_t instance = 0; // a hash of the run directory, for names that must not collide
};
// `root` as given on the command line, or nothing: "/" for root, $XDG_RUNTIME_DIR and $HOME for
// others. A directory that does not exist yet is created, unless `look_only`. [any]
[[nodiscard]] Result<Place> find_place(const std::optional<std::string>& root, bool look_only);

struct Directories {
  sys::Fd lock; // flock'ed: nobody else runs here
  sys::Fd run;
  sys::Fd images; // the mount point
  sys::Fd etc;
  sys::Fd state;
  sys::Fd log;
};
// Makes what is missing and takes the lock. Exists: another mohhosd runs here. Every error is one
// sentence with the path in it. [any]
[[nodiscard]] Result<Directories> prepare_directories(const Place& place, const Identity& identity);

// In the manager's process, still privileged: a mount namespace of its own. Where a directory above
// the instance's is closed to the manager's uid (/root, a temporary directory of mode 0700), that
// one is covered by an empty tmpfs in which etc, state and log alone appear; what it hides could
// not be reached anyway. [child]
[[nodiscard]] Result<> isolate_manager(const Identity& identity, const Place& place,
                                       const Directories& directories);

} // namespace mohhos::warden
