#include "api/permits.hpp"

#include <array>

namespace mohhos::api {
namespace {

// cost: what a call weighs while it runs, against ServerLimits::cost_per_uid.
constexpr std::array<Permit, kMethodCount> kPermits = {{
    {Method::Load, Role::Admin, 8, "verify, confine and load a plugin"},
    {Method::Unload, Role::Admin, 2, "end a plugin and forget it"},
    {Method::Start, Role::Operate, 2, "LOADED to RUNNING"},
    {Method::Stop, Role::Operate, 2, "RUNNING to LOADED"},
    {Method::Suspend, Role::Operate, 2, "freeze"},
    {Method::Resume, Role::Operate, 2, "thaw"},
    {Method::Info, Role::Observe, 1, "everything about one plugin"},
    {Method::List, Role::Observe, 2, "all plugins"},
    {Method::Why, Role::Observe, 1, "what a plugin tried and was refused"},
    {Method::Logs, Role::Observe, 4, "what plugins wrote; a stream"},
    {Method::Watch, Role::Observe, 4, "changes of state; a stream"},
    {Method::CheckCapability, Role::Observe, 1, "whether a capability is granted"},
    {Method::CheckDependencies, Role::Observe, 1, "how a plugin's dependencies stand"},
    {Method::Status, Role::Observe, 1, "the daemon and what this machine gives"},
    {Method::OpenEndpoint, Role::Operate, 4, "send to plugins and receive from them"},
    {Method::DeadLetterList, Role::Observe, 2,
     "messages that could not be handled, without content"},
    {Method::DeadLetterShow, Role::Admin, 2, "one of them, with its content"},
    {Method::DeadLetterRetry, Role::Admin, 4, "send one to its plugin again"},
    {Method::DeadLetterDrop, Role::Admin, 2, "throw one away"},
    {Method::ListChannels, Role::Observe, 2, "all channels, with what they have counted"},
    {Method::TapChannel, Role::Admin, 2, "copies of messages between others"},
    {Method::OpenReplay, Role::Admin, 4, "send to a plugin whatever its receive_from says"},
}};

constexpr bool rows_in_order() {
  for (std::size_t i = 0; i < kPermits.size(); ++i)
    if (static_cast<std::size_t>(kPermits[i].method) != i || kPermits[i].least == Role::None)
      return false;
  return true;
}
static_assert(rows_in_order(), "every method has its row, in the order of the enum, and no method "
                               "is open to everybody");

} // namespace

std::span<const Permit> permits() noexcept {
  return kPermits;
}

const Permit& permit_for(Method method) noexcept {
  return kPermits[static_cast<std::size_t>(method)];
}

Result<> check_permit(Method method, Role role) {
  const Permit& permit = permit_for(method);
  if (role >= permit.least) return {};
  return fail(Code::Denied,
              "{} needs the role '{}', and you have '{}'; see [control] in mohhosd.toml",
              name_of(method).name, manager::role_name(permit.least), manager::role_name(role));
}

std::string permits_as_markdown() {
  std::string text = "| service | method | role | cost | what |\n|---|---|---|---|---|\n";
  for (const Permit& permit : kPermits) {
    const MethodName& name = name_of(permit.method);
    text += fmt::format("| {} | {} | {} | {} | {} |\n", name.service, name.name,
                        manager::role_name(permit.least), permit.cost, permit.what);
  }
  return text;
}

} // namespace mohhos::api
