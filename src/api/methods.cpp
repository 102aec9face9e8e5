#include "api/methods.hpp"

namespace mohhos::api {
namespace {

constexpr std::string_view kPlugins = "mohhos.v1.Plugins";
constexpr std::string_view kDaemon = "mohhos.v1.Daemon";
constexpr std::string_view kLetters = "mohhos.v1.DeadLetters";

constexpr std::array<MethodName, kMethodCount> kNames = {{
    {Method::Load, kPlugins, "Load"},
    {Method::Unload, kPlugins, "Unload"},
    {Method::Start, kPlugins, "Start"},
    {Method::Stop, kPlugins, "Stop"},
    {Method::Suspend, kPlugins, "Suspend"},
    {Method::Resume, kPlugins, "Resume"},
    {Method::Info, kPlugins, "Info"},
    {Method::List, kPlugins, "List"},
    {Method::Why, kPlugins, "Why"},
    {Method::Logs, kPlugins, "Logs", true},
    {Method::Watch, kPlugins, "Watch", true},
    {Method::CheckCapability, kPlugins, "CheckCapability"},
    {Method::CheckDependencies, kPlugins, "CheckDependencies"},
    {Method::Status, kDaemon, "Status"},
    {Method::OpenEndpoint, kDaemon, "OpenEndpoint"},
    {Method::DeadLetterList, kLetters, "List"},
    {Method::DeadLetterShow, kLetters, "Show"},
    {Method::DeadLetterRetry, kLetters, "Retry"},
    {Method::DeadLetterDrop, kLetters, "Drop"},
    {Method::ListChannels, kDaemon, "ListChannels"},
    {Method::TapChannel, kDaemon, "TapChannel"},
    {Method::OpenReplay, kDaemon, "OpenReplay"},
}};

constexpr bool rows_in_order() {
  for (std::size_t i = 0; i < kNames.size(); ++i)
    if (static_cast<std::size_t>(kNames[i].method) != i) return false;
  return true;
}
static_assert(rows_in_order(), "every method has its row, in the order of the enum");

} // namespace

const MethodName& name_of(Method method) noexcept {
  return kNames[static_cast<std::size_t>(method)];
}

const MethodName* find_method(std::string_view service, std::string_view name) noexcept {
  for (const MethodName& row : kNames)
    if (row.service == service && row.name == name) return &row;
  return nullptr;
}

} // namespace mohhos::api
