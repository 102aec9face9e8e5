// The methods of proto/mohhos/v1/control.proto by their names on the wire: one table for both
// sides.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace mohhos::api {

enum class Method : std::uint8_t {
  Load,
  Unload,
  Start,
  Stop,
  Suspend,
  Resume,
  Info,
  List,
  Why,
  Logs,
  Watch,
  CheckCapability,
  CheckDependencies,
  Status,
  OpenEndpoint,
  DeadLetterList,
  DeadLetterShow,
  DeadLetterRetry,
  DeadLetterDrop,
  ListChannels,
  TapChannel,
  OpenReplay,
};
inline constexpr std::size_t kMethodCount = 22;

struct MethodName {
  Method method;
  std::string_view service; // "mohhos.v1.Plugins"
  std::string_view name;    // "Load"
  bool streams = false;     // the server answers with a stream
};

// [pure]
[[nodiscard]] const MethodName& name_of(Method method) noexcept;
[[nodiscard]] const MethodName* find_method(std::string_view service,
                                            std::string_view name) noexcept;

} // namespace mohhos::api
