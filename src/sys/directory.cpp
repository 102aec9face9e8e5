#include "sys/directory.hpp"

#include <cerrno>
#include <iterator>
#include <string>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/file.hpp"

namespace mohhos::sys {

namespace fs = std::filesystem;

Result<Fd> make_directory_at(int parent, const fs::path& path, mode_t mode, Owner owner,
                             Links links, bool leaf) {
  const std::string name = path.filename();
  const bool made = ::mkdirat(parent, name.c_str(), mode) == 0;
  if (!made && errno != EEXIST) return fail_errno(fmt::format("creating {}", path.native()));
  const int nofollow = links == Links::Refused ? O_NOFOLLOW : 0;
  Fd fd(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | nofollow));
  if (!fd && (errno == ELOOP || errno == ENOTDIR))
    return fail(Code::Invalid, "{} is a symbolic link or a file, and must be a directory",
                path.native());
  if (!fd) return fail_errno(fmt::format("opening {}", path.native()));
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return fail_errno(fmt::format("stat of {}", path.native()));
  const bool others = status.st_uid != owner.uid;
  if (leaf && others && status.st_uid != ::geteuid())
    return fail(Code::Denied, "{} belongs to uid {}, and must belong to uid {}; chown or remove it",
                path.native(), status.st_uid, owner.uid);
  if ((made || (leaf && others)) && ::fchown(fd.get(), owner.uid, owner.gid) != 0)
    return fail_errno(fmt::format("chown of {}", path.native()));
  if (made && ::fchmod(fd.get(), mode) != 0)
    return fail_errno(fmt::format("chmod of {}", path.native()));
  return fd;
}

Result<Fd> make_path(const fs::path& from, const fs::path& path, mode_t mode, Owner owner,
                     Links links) {
  Fd fd(::open(from.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno(fmt::format("opening {}", from.native()));
  const Owner ours{::geteuid(), ::getegid()};
  const fs::path below = path.lexically_relative(from);
  fs::path built = from;
  for (auto part = below.begin(); part != below.end(); ++part) {
    built /= *part;
    const bool last = std::next(part) == below.end();
    TRY(fd,
        make_directory_at(fd.get(), built, last ? mode : 0755, last ? owner : ours, links, last));
  }
  return fd;
}

Result<Fd> lock_file_at(int directory, const fs::path& path) {
  const std::string name = path.filename();
  for (;;) {
    constexpr int kFlags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    Fd fd(::openat(directory, name.c_str(), kFlags, 0600));
    if (!fd) return fail_errno(fmt::format("opening {}", path.native()));
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return fail_errno(fmt::format("locking {}", path.native()));
      const std::string pid = read_all(fd.get(), kib(1)).value_or("");
      return fail(Code::Exists, "{} is locked by process {}", path.native(),
                  pid.substr(0, pid.find('\n')));
    }
    // The one before us may have removed the name between our open and its end: then try again.
    struct stat mine{};
    struct stat named{};
    if (::fstat(fd.get(), &mine) != 0 ||
        ::fstatat(directory, name.c_str(), &named, AT_SYMLINK_NOFOLLOW) != 0 ||
        mine.st_ino != named.st_ino)
      continue;
    if (::ftruncate(fd.get(), 0) != 0)
      return fail_errno(fmt::format("truncating {}", path.native()));
    if (auto written = write_all(fd.get(), fmt::format("{}\n", ::getpid())); !written)
      return std::unexpected(std::move(written).error().within(path.native()));
    return fd;
  }
}

fs::path closed_ancestor(const fs::path& path, Owner who) {
  fs::path built;
  for (const auto& part : path) {
    built /= part;
    struct stat status{};
    if (::stat(built.c_str(), &status) != 0) continue;
    const mode_t bit = status.st_uid == who.uid   ? S_IXUSR
                       : status.st_gid == who.gid ? S_IXGRP
                                                  : S_IXOTH;
    if ((status.st_mode & bit) == 0) return built;
  }
  return {};
}

} // namespace mohhos::sys
