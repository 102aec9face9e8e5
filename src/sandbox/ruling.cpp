#include "sandbox/ruling.hpp"

#include <algorithm>
#include <cerrno>
#include <string_view>

#include <sys/mman.h>
#include <sys/syscall.h>

#include "sandbox/verify.hpp"
#include "sys/notification.hpp"

namespace mohhos::sandbox {
namespace {

// Whether what is granted at this place is granted for writing. By the text: for the log.
bool is_writable(const Spec& spec, std::string_view path) {
  while (path.starts_with('/')) path.remove_prefix(1);
  return std::any_of(spec.mounts, spec.mounts + spec.mount_count, [&](const Mount& mount) {
    const std::string_view target = std::string_view(mount.target).substr(1);
    const bool writable = mount.kind == MountKind::ReadWrite || mount.kind == MountKind::Device;
    return writable && path.starts_with(target) &&
           (path.size() == target.size() || path[target.size()] == '/');
  });
}

// As ld.so maps the code of a library.
bool maps_code(const seccomp_notif& call) {
  if (call.data.nr != SYS_mmap) return false;
  const std::uint64_t protection = call.data.args[2];
  const std::uint64_t flags = call.data.args[3];
  return (protection & (PROT_EXEC | PROT_WRITE)) == PROT_EXEC && (flags & MAP_PRIVATE) != 0 &&
         (flags & MAP_ANONYMOUS) == 0;
}

} // namespace

Ruling judge_call(const Spec& spec, const seccomp_notif& call, Phase phase) {
  if (phase == Phase::Loading && maps_code(call)) return {.pass = true, .path = {}};
  std::string path = sys::path_argument(call);
  if (!sys::is_open(call)) return {.error = EPERM, .log = true, .path = std::move(path)};
  switch (path.empty() ? PathClass::Outside : classify_path(spec, path)) {
  case PathClass::Silent: return {.pass = true, .path = std::move(path)};
  case PathClass::Granted:
    // The mount would say EROFS, and the log would call it allowed.
    if (!sys::opens_for_writing(call) || is_writable(spec, path))
      return {.pass = true, .log = true, .path = std::move(path)};
    break;
  case PathClass::Outside: break;
  }
  return {.error = EACCES, .log = true, .path = std::move(path)};
}

bool answer_call(int listener, const seccomp_notif& call, const Ruling& ruling) {
  if (!sys::still_waits(listener, call)) return false;
  if (ruling.pass)
    sys::let_pass(listener, call);
  else
    sys::refuse(listener, call, ruling.error);
  return true;
}

} // namespace mohhos::sandbox
