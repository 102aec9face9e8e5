// Who may call what, and what it costs: one table, printed into docs/cli.md, where a test compares
// the two.
//
// The caller is whom the kernel says it is (SO_PEERCRED, SO_PEERGROUPS), and an error there is a
// refusal. The cost is what a call weighs among its uid's calls in flight; a uid that has spent its
// budget is told to wait for an answer first, and nobody else notices.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <sys/types.h>

#include "api/methods.hpp"

namespace mohhos::api {

enum class Role : std::uint8_t {
  None,    // refused
  Observe, // looks
  Operate, // and changes plugins
  Admin,   // and has files opened with the daemon's own rights
};
[[nodiscard]] std::string_view role_name(Role role) noexcept; // "observe", … [pure]

struct Permit {
  Method method;
  Role least;
  unsigned cost;
  std::string_view what; // for docs/cli.md
};

[[nodiscard]] std::span<const Permit> permits() noexcept;
[[nodiscard]] const Permit& permit_for(Method method) noexcept;
// The table as docs/cli.md has it. [pure]
[[nodiscard]] std::string permits_as_markdown();

struct Caller {
  uid_t uid = 0;
  gid_t gid = 0;
  pid_t pid = 0; // for logs; it may be somebody else's by now
  Role role = Role::None;
};

// Which uids and groups have which role.
struct RolePolicy {
  uid_t own_uid = 0;                   // the manager's
  std::optional<gid_t> operators;      // group mohhos
  uid_t first_plugin_uid = 0x70000000; // from here on uids are plugins': they have no business here
  uid_t plugin_uids = 0x01000000;
};

// root and the daemon's own uid: Admin. A member of `operators`: Operate. A plugin's uid: None.
// Everybody else whom the socket's mode lets in: Observe. [pure]
[[nodiscard]] Role role_of(const RolePolicy& policy, uid_t uid, gid_t gid,
                           std::span<const gid_t> groups) noexcept;

} // namespace mohhos::api
