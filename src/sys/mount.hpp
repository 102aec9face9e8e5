// Mount namespaces and the few mounts that are made outside of a sandbox.
#pragma once

#include <filesystem>
#include <string>

#include "sys/fd.hpp"

namespace mohhos::sys {

// A mount namespace of our own: what is mounted outside still arrives, nothing of ours leaks out.
// Denied where CAP_SYS_ADMIN is missing. [any]
[[nodiscard]] Result<> leave_mount_namespace();

// A new tmpfs (nosuid, nodev) over a directory; options as mount(8) has them. The descriptor, if
// there is one, says upon which directory, and `path` only what it is called. [any]
[[nodiscard]] Result<> mount_tmpfs(const std::filesystem::path& path, const std::string& options,
                                   int directory = -1);

// A copy of what is mounted at a directory, hung up nowhere yet: it can be carried into another
// namespace. The directory must belong to ours. [any]
[[nodiscard]] Result<Fd> clone_tree(int directory);
[[nodiscard]] Result<> place_tree(int tree, const std::filesystem::path& path);

} // namespace mohhos::sys
