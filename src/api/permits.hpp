// Who may call what, and what it costs: one table, printed into docs/cli.md, where a test compares
// the two.
//
// The caller is whom the kernel says it is (SO_PEERCRED, SO_PEERGROUPS), and an error there is a
// refusal. The cost is what a call weighs among its uid's calls in flight; a uid that has spent its
// budget is told to wait for an answer first, and nobody else notices.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "api/methods.hpp"
#include "base/error.hpp"
#include "manager/config.hpp"

namespace mohhos::api {

using manager::Role;

struct Permit {
  Method method;
  Role least;
  unsigned cost;
  std::string_view what; // for docs/cli.md
};

[[nodiscard]] std::span<const Permit> permits() noexcept;
[[nodiscard]] const Permit& permit_for(Method method) noexcept;
// Denied names the method, the role that it needs and the one that the caller has. [pure]
[[nodiscard]] Result<> check_permit(Method method, Role role);
// The table as docs/cli.md has it. [pure]
[[nodiscard]] std::string permits_as_markdown();

} // namespace mohhos::api
