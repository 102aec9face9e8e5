#include "sys/file.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mohhos::sys {
namespace {

std::string_view kind_of(mode_t mode) {
  switch (mode & S_IFMT) {
  case S_IFDIR: return "a directory";
  case S_IFIFO: return "a FIFO";
  case S_IFSOCK: return "a socket";
  case S_IFCHR:
  case S_IFBLK: return "a device";
  default: return "not a regular file";
  }
}

} // namespace

Result<Fd> open_regular(const std::filesystem::path& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) return fail_errno(fmt::format("opening {}", path.native()));
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return fail_errno(fmt::format("fstat of {}", path.native()));
  if (!S_ISREG(status.st_mode))
    return fail(Code::Invalid, "{} is {}, not a regular file", path.native(),
                kind_of(status.st_mode));
  return fd;
}

Result<std::string> read_all(int fd, Bytes limit) {
  std::string bytes;
  char chunk[16384];
  for (;;) {
    const ssize_t got = ::read(fd, chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read");
    if (got == 0) return bytes;
    if (bytes.size() + static_cast<std::size_t>(got) > limit.count)
      return fail(Code::TooLarge, "more than {} bytes", limit.count);
    bytes.append(chunk, static_cast<std::size_t>(got));
  }
}

Result<std::string> read_file(const std::filesystem::path& path, Bytes limit) {
  TRY(const Fd fd, open_regular(path));
  auto bytes = read_all(fd.get(), limit);
  if (!bytes) return std::unexpected(std::move(bytes).error().within(path.native()));
  return bytes;
}

Result<> write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail_errno("write");
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
  return {};
}

namespace {

Result<> stage_and_rename(const std::filesystem::path& staged, const std::filesystem::path& path,
                          std::string_view bytes, mode_t mode) {
  const Fd fd(::open(staged.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
  if (!fd) return fail_errno(fmt::format("creating {}", staged.native()));
  if (::fchmod(fd.get(), mode) != 0)
    return fail_errno(fmt::format("fchmod of {}", staged.native()));
  if (auto written = write_all(fd.get(), bytes); !written)
    return std::unexpected(std::move(written).error().within(staged.native()));
  if (::fsync(fd.get()) != 0) return fail_errno(fmt::format("fsync of {}", staged.native()));
  if (::rename(staged.c_str(), path.c_str()) != 0)
    return fail_errno(fmt::format("renaming {} to {}", staged.native(), path.native()));
  return {};
}

} // namespace

Result<> replace_file(const std::filesystem::path& path, std::string_view bytes, mode_t mode) {
  std::filesystem::path staged = path;
  staged += ".new";
  if (::unlink(staged.c_str()) != 0 && errno != ENOENT)
    return fail_errno(fmt::format("removing the stale {}", staged.native()));
  if (auto replaced = stage_and_rename(staged, path, bytes, mode); !replaced) {
    (void)::unlink(staged.c_str()); // ours, and perhaps only half of it
    return replaced;
  }
  const Fd directory(::open(path.parent_path().empty() ? "." : path.parent_path().c_str(),
                            O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory || ::fsync(directory.get()) != 0)
    return fail_errno(fmt::format("fsync of the directory of {}", path.native()));
  return {};
}

Result<> create_file(const std::filesystem::path& path, std::string_view bytes, mode_t mode) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
  if (!fd) return fail_errno(fmt::format("creating {}", path.native()));
  if (::fchmod(fd.get(), mode) != 0) return fail_errno(fmt::format("fchmod of {}", path.native()));
  auto written = write_all(fd.get(), bytes);
  if (written) return {};
  (void)::unlink(path.c_str()); // ours, and only half of it
  return std::unexpected(std::move(written).error().within(path.native()));
}

Result<> make_directories(const std::filesystem::path& path, mode_t mode) {
  std::filesystem::path built;
  for (const auto& part : path) {
    built /= part;
    if (built.empty() || built == "/") continue;
    if (::mkdir(built.c_str(), mode) == 0) {
      if (::chmod(built.c_str(), mode) != 0)
        return fail_errno(fmt::format("chmod of {}", built.native()));
      continue;
    }
    if (errno != EEXIST)
      return fail_errno(fmt::format("creating the directory {}", built.native()));
  }
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0)
    return fail_errno(fmt::format("stat of {}", path.native()));
  if (!S_ISDIR(status.st_mode))
    return fail(Code::Invalid, "{} exists and is not a directory", path.native());
  return {};
}

Result<> write_control(int directory_fd, const char* name, std::string_view value) {
  const Fd fd(::openat(directory_fd, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return fail_errno(fmt::format("opening {}", name));
  const ssize_t put = ::write(fd.get(), value.data(), value.size());
  if (put != static_cast<ssize_t>(value.size()))
    return fail_errno(fmt::format("writing '{}' to {}", value, name));
  return {};
}

Result<std::string> read_control(int directory_fd, const char* name) {
  const Fd fd(::openat(directory_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return fail_errno(fmt::format("opening {}", name));
  return read_all(fd.get(), kib(64));
}

} // namespace mohhos::sys
