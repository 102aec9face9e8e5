// Files by path and by directory descriptor, with bounds on what is read and no surprises on the
// way (a FIFO cannot block us, a symbolic link in the last component is not followed when writing).
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "base/units.hpp"
#include "sys/fd.hpp"

namespace mohhos::sys {

// Opens a regular file for reading: O_CLOEXEC, O_NONBLOCK (a FIFO cannot hang us), never a
// directory or device. Errors name the path and what it is instead. [any]
[[nodiscard]] Result<Fd> open_regular(const std::filesystem::path& path);

// The whole of a regular file of at most `limit` bytes; TooLarge names both numbers. [any]
[[nodiscard]] Result<std::string> read_file(const std::filesystem::path& path, Bytes limit);

// Everything at most `limit` bytes that a descriptor gives until end of file. [any]
[[nodiscard]] Result<std::string> read_all(int fd, Bytes limit);

// All of `bytes`, in as many writes as it takes. [any]
[[nodiscard]] Result<> write_all(int fd, std::string_view bytes);

// Replaces a file whole or not at all: a new file beside it (O_EXCL|O_NOFOLLOW), fsync, rename,
// fsync of the directory. [any]
[[nodiscard]] Result<> replace_file(const std::filesystem::path& path, std::string_view bytes,
                                    mode_t mode);

// The same for several files of one directory, for little more than the price of one. After an
// error some may have been replaced. [any]
struct NewFile {
  std::filesystem::path path;
  std::string_view bytes;
};
[[nodiscard]] Result<> replace_files(std::span<const NewFile> files, mode_t mode);

[[nodiscard]] Result<> remove_file(const std::filesystem::path& path);

// A new file with this content; Exists if there is anything at the path. [any]
[[nodiscard]] Result<> create_file(const std::filesystem::path& path, std::string_view bytes,
                                   mode_t mode);

// mkdir -p, each missing component with `mode` whatever the umask. [any]
[[nodiscard]] Result<> make_directories(const std::filesystem::path& path, mode_t mode);

// Writes a value into a control file (cgroup, /proc/…/uid_map): one write(2), no creation. [any]
[[nodiscard]] Result<> write_control(int directory_fd, const char* name, std::string_view value);
[[nodiscard]] Result<std::string> read_control(int directory_fd, const char* name);

} // namespace mohhos::sys
