#include "security/trusted_file.hpp"

#include <sys/stat.h>

#include "sys/file.hpp"

namespace mohhos::security {

Result<> check_owner(const std::filesystem::path& path, const sys::FileStatus& status) {
  const uid_t own = sys::effective_uid();
  if (status.owner != 0 && status.owner != own)
    return fail(Code::Untrusted,
                "{} belongs to uid {}: it must belong to root or to uid {} (chown {} {})",
                path.native(), status.owner, own, own, path.native());
  if ((status.mode & (S_IWGRP | S_IWOTH)) != 0)
    return fail(Code::Untrusted, "{} may be written by others (mode {:04o}): chmod go-w {}",
                path.native(), status.mode & 07777U, path.native());
  return {};
}

Result<std::string> read_trusted_file(const std::filesystem::path& path, Bytes limit) {
  TRY(const sys::Fd fd, sys::open_regular(path));
  TRY(const sys::FileStatus status, sys::status_of(fd.get()));
  TRY(check_owner(path, status));
  auto bytes = sys::read_all(fd.get(), limit);
  if (!bytes) return std::unexpected(std::move(bytes).error().within(path.native()));
  return bytes;
}

} // namespace mohhos::security
