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

std::filesystem::path staged_of(const std::filesystem::path& path) {
  std::filesystem::path staged = path;
  staged += ".new";
  return staged;
}

// Beside its place, whole, and not yet on disk.
Result<Fd> stage(const NewFile& file, mode_t mode) {
  const std::filesystem::path staged = staged_of(file.path);
  if (::unlink(staged.c_str()) != 0 && errno != ENOENT)
    return fail_errno(fmt::format("removing the stale {}", staged.native()));
  Fd fd(::open(staged.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
  if (!fd) return fail_errno(fmt::format("creating {}", staged.native()));
  if (::fchmod(fd.get(), mode) != 0)
    return fail_errno(fmt::format("fchmod of {}", staged.native()));
  if (auto written = write_all(fd.get(), file.bytes); !written)
    return std::unexpected(std::move(written).error().within(staged.native()));
  return fd;
}

Result<> stage_and_rename(std::span<const NewFile> files, mode_t mode) {
  std::vector<Fd> staged;
  for (const NewFile& file : files) {
    TRY(Fd fd, stage(file, mode));
    staged.push_back(std::move(fd));
  }
  for (std::size_t i = 0; i < files.size(); ++i)
    if (::fsync(staged[i].get()) != 0)
      return fail_errno(fmt::format("fsync of {}", staged_of(files[i].path).native()));
  for (const NewFile& file : files)
    if (::rename(staged_of(file.path).c_str(), file.path.c_str()) != 0)
      return fail_errno(fmt::format("renaming to {}", file.path.native()));
  return {};
}

} // namespace

Result<> replace_files(std::span<const NewFile> files, mode_t mode) {
  if (files.empty()) return {};
  if (auto replaced = stage_and_rename(files, mode); !replaced) {
    // Ours, and perhaps only half of them.
    for (const NewFile& file : files) (void)::unlink(staged_of(file.path).c_str());
    return replaced;
  }
  const std::filesystem::path parent = files.front().path.parent_path();
  const Fd directory(
      ::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory || ::fsync(directory.get()) != 0)
    return fail_errno(fmt::format("fsync of the directory of {}", files.front().path.native()));
  return {};
}

Result<> replace_file(const std::filesystem::path& path, std::string_view bytes, mode_t mode) {
  const NewFile file{path, bytes};
  return replace_files(std::span(&file, 1), mode);
}

Result<> remove_file(const std::filesystem::path& path) {
  if (::unlink(path.c_str()) != 0) return fail_errno(fmt::format("removing {}", path.native()));
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
