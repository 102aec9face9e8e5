// Who owns a file, who may write it, and whether it is still the one that was looked at.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/error.hpp"

namespace mohhos::sys {

struct FileStatus {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t modified_ns = 0; // wall clock; anybody who may write can set it
  std::int64_t changed_ns = 0;  // ctime: the kernel's
  uid_t owner = 0;
  mode_t mode = 0; // type and permissions
};
// Follows symbolic links. NotFound when there is nothing. [any]
[[nodiscard]] Result<FileStatus> status_of(const std::filesystem::path& path);
[[nodiscard]] Result<FileStatus> status_of(int fd);

// The names in a directory, sorted, without . and ... NotFound when it does not exist. [any]
[[nodiscard]] Result<std::vector<std::string>> list_directory(const std::filesystem::path& path);

[[nodiscard]] uid_t effective_uid() noexcept;

} // namespace mohhos::sys
