#include "warden/identity.hpp"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include "sys/file.hpp"
#include "sys/user_namespace.hpp"
#include <fcntl.h>

namespace mohhos::warden {
namespace {

constexpr uid_t kOverflowUid = 65534; // what every unmapped id looks like

Result<Identity> become_user() {
  Identity identity;
  // Whoever is not mapped looks like 'nobody', and must not be taken for a real one that runs us.
  identity.own_uid = ::geteuid() == kOverflowUid ? kManagerUid : ::geteuid();
  identity.own_gid = ::getegid() == kOverflowUid ? kManagerUid : ::getegid();
  identity.manager_uid = identity.own_uid;
  identity.manager_gid = identity.own_gid;
  TRY(identity.uid_count, sys::enter_user_namespace({.own_uid = identity.own_uid,
                                                     .own_gid = identity.own_gid,
                                                     .base = kManagerUid + 1,
                                                     .limit = kUidsPerInstance}));
  identity.mode = identity.uid_count > 0 ? Mode::UserWithSubuids : Mode::User;
  identity.uid_base = identity.uid_count > 0 ? kManagerUid + 1 : identity.own_uid;
  if (identity.uid_count == 0) identity.uid_count = 1;
  return identity;
}

Identity become_root(std::uint32_t instance) {
  Identity identity;
  identity.mode = Mode::Privileged;
  identity.own_gid = ::getegid();
  identity.manager_uid = kManagerUid;
  identity.manager_gid = kManagerUid;
  identity.uid_base = uid_base_of(instance);
  identity.uid_count = kUidsPerInstance;
  // The only look at the user database: nothing loads NSS modules after the start.
  if (const passwd* user = ::getpwnam("mohhos")) {
    identity.manager_uid = user->pw_uid;
    identity.manager_gid = user->pw_gid;
  }
  const group* clients = ::getgrnam("mohhos");
  if (clients != nullptr) identity.client_gid = clients->gr_gid;
  return identity;
}

} // namespace

uid_t uid_base_of(std::uint32_t instance) {
  return kManagerUid + kUidsPerInstance * (1 + instance % 4094);
}

Result<Identity> take_identity(std::uint32_t instance) {
  // Root of a container that maps fewer uids than ours is an ordinary user to us.
  TRY(const std::string map, sys::read_control(AT_FDCWD, "/proc/self/uid_map"));
  if (::geteuid() == 0 && sys::maps_range(map, kManagerUid, 0x7FFFFFFF))
    return become_root(instance);
  return become_user();
}

} // namespace mohhos::warden
