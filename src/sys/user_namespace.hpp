// A user namespace for an ordinary user's process: with a range of subordinate ids where
// /etc/subuid and /etc/subgid give one, with their own id alone elsewhere.
//
// Only a process outside may be served by newuidmap: a forked helper stays there and maps us.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include <sys/types.h>

#include "base/error.hpp"

namespace mohhos::sys {

struct IdRange {
  std::uint32_t first = 0;
  std::uint32_t count = 0;
};
// The first range that a subuid or subgid file gives to the user, by name or by number. [pure]
[[nodiscard]] std::optional<IdRange> find_subordinate(std::string_view file, std::string_view name,
                                                      uid_t uid);
// Whether a uid_map covers all of [first, last]. [pure]
[[nodiscard]] bool maps_range(std::string_view uid_map, std::uint32_t first, std::uint32_t last);

struct NamespaceIds {
  uid_t own_uid = 0; // what our own ids are called inside
  gid_t own_gid = 0;
  std::uint32_t base = 0;  // where the subordinate ids begin inside, uids and gids alike
  std::uint32_t limit = 0; // no more of them than this
};
// Enters; the answer is how many subordinate ids there are (0: our own id is the only one, and
// setgroups is denied). Before any thread exists. Denied says what the kernel does not allow. [any]
[[nodiscard]] Result<std::uint32_t> enter_user_namespace(const NamespaceIds& ids);

} // namespace mohhos::sys
