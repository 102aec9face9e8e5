// Who the warden is, and which uids it can give away.
//
// Root gives every plugin a uid of a range that nobody has. An ordinary user gets the same powers
// in a user namespace of their own: with subordinate uids where /etc/subuid has some, else with
// their own uid alone, which all plugins then share. Inside the namespace the user keeps their own
// number, so that files and peers are called what they are called outside.
#pragma once

#include <cstdint>
#include <optional>

#include <sys/types.h>

#include "base/error.hpp"
#include "warden/protocol.hpp"

namespace mohhos::warden {

inline constexpr uid_t kManagerUid = 0x70000000; // where there is no user 'mohhos'
inline constexpr std::uint32_t kUidsPerInstance = 0x10000;

struct Identity {
  Mode mode{};
  uid_t own_uid = 0; // all numbers as the warden's own namespace has them
  gid_t own_gid = 0;
  uid_t manager_uid = 0;
  gid_t manager_gid = 0;
  std::optional<gid_t> client_gid; // group 'mohhos': its members may use the control socket
  uid_t uid_base = 0;              // plugin n: uid_base + n, and the gid of the same number
  std::uint32_t uid_count = 0;
};

// The first plugin uid of an instance: one of 4,094 ranges of kUidsPerInstance above kManagerUid,
// chosen by the instance's hash, so that two daemons of one machine hardly ever share. [pure]
[[nodiscard]] uid_t uid_base_of(std::uint32_t instance);

// Finds out, and enters a user namespace where we are not root. Once, at the start, before any
// other process of ours exists.
[[nodiscard]] Result<Identity> take_identity(std::uint32_t instance);

} // namespace mohhos::warden
