// Directories and lock files by descriptor, for a process whose mistakes would be root's: no
// component is reached through a symbolic link that somebody planted, owners and modes are said and
// not inherited.
#pragma once

#include <filesystem>

#include <sys/types.h>

#include "sys/fd.hpp"

namespace mohhos::sys {

struct Owner {
  uid_t uid = 0;
  gid_t gid = 0;
};
enum class Links { Followed, Refused };

// The last component of `path` in `parent`, made if it is missing, with this owner and mode
// whatever the umask. One that exists keeps its mode; a `leaf` must belong to its owner, or still
// to us, who then hand it over: Denied otherwise. Every error names the path. [any]
[[nodiscard]] Result<Fd> make_directory_at(int parent, const std::filesystem::path& path,
                                           mode_t mode, Owner owner, Links links, bool leaf = true);
// Every component of `path` below `from`, which exists: ours and 0755, the last one as said. [any]
[[nodiscard]] Result<Fd> make_path(const std::filesystem::path& from,
                                   const std::filesystem::path& path, mode_t mode, Owner owner,
                                   Links links);

// Locks the last component of `path` in `directory` (made if it is missing) and writes our pid into
// it, for as long as the descriptor lives. Whoever removes the file does so under the lock. Exists
// names the process that has it. [any]
[[nodiscard]] Result<Fd> lock_file_at(int directory, const std::filesystem::path& path);

// The highest directory on the way to `path` that a process with these ids may not search; empty:
// none. [any]
[[nodiscard]] std::filesystem::path closed_ancestor(const std::filesystem::path& path, Owner who);

} // namespace mohhos::sys
