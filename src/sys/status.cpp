#include "sys/status.hpp"

#include <algorithm>
#include <cerrno>
#include <memory>

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mohhos::sys {
namespace {

constexpr std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

FileStatus convert(const struct stat& status) {
  return {.device = status.st_dev,
          .inode = status.st_ino,
          .size = static_cast<std::uint64_t>(status.st_size),
          .modified_ns = nanoseconds(status.st_mtim),
          .changed_ns = nanoseconds(status.st_ctim),
          .owner = status.st_uid,
          .mode = status.st_mode};
}

struct Close {
  void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};

} // namespace

Result<FileStatus> status_of(const std::filesystem::path& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0)
    return fail_errno(fmt::format("stat of {}", path.native()));
  return convert(status);
}

Result<FileStatus> status_of(int fd) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return fail_errno("fstat");
  return convert(status);
}

Result<std::vector<std::string>> list_directory(const std::filesystem::path& path) {
  const std::unique_ptr<DIR, Close> directory(::opendir(path.c_str()));
  if (!directory) return fail_errno(fmt::format("opening the directory {}", path.native()));
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(directory.get()); // a stream of our own
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) return fail_errno(fmt::format("reading the directory {}", path.native()));
  std::ranges::sort(names);
  return names;
}

uid_t effective_uid() noexcept {
  return ::geteuid();
}

} // namespace mohhos::sys
