// The words of abi.h in C++: what kind of message, how long, which capability, how to send.
#pragma once

#include <chrono>
#include <cstdint>

#include "mohhos/abi.h"
#include "mohhos/sdk/memory.hpp"

namespace mohhos {

using Duration = std::chrono::nanoseconds;
inline constexpr Duration kForever = Duration::max();

enum class MessageType : std::uint32_t {
  Usual = 0, // what the call sends when nothing else is said
  Shutdown = MOHHOS_MSG_SHUTDOWN,
  ConfigUpdate = MOHHOS_MSG_CONFIG_UPDATE,
  DataRequest = MOHHOS_MSG_DATA_REQUEST,
  DataResponse = MOHHOS_MSG_DATA_RESPONSE,
  EventNotify = MOHHOS_MSG_EVENT_NOTIFY,
  AiInference = MOHHOS_MSG_AI_INFERENCE,
  Custom = MOHHOS_MSG_CUSTOM,
};

enum class Capability : std::uint32_t {
  AccessFilesystem = MOHHOS_CAP_ACCESS_FILESYSTEM,
  AccessNetwork = MOHHOS_CAP_ACCESS_NETWORK,
  AccessHardware = MOHHOS_CAP_ACCESS_HARDWARE,
  CreateProcesses = MOHHOS_CAP_CREATE_PROCESSES,
  AccessAiEngine = MOHHOS_CAP_ACCESS_AI_ENGINE,
  ModifySystemConfig = MOHHOS_CAP_MODIFY_SYSTEM_CONFIG,
};

struct SendOptions {
  MessageType type = MessageType::Usual;
  std::int32_t priority = MOHHOS_PRIORITY_NORMAL;
  Duration timeout = std::chrono::seconds(5); // how long to wait for room; 0: refuse at once
  std::uint64_t deadline_ns = 0;              // travels with the message; 0: none
  bool more = false;                          // another one follows at once
  bool durable = false;                       // is to be on disk: Channel::sync() waits for that
  Memory* memory = nullptr;                   // goes along (memory.hpp)
};

// Whom to answer, for a reply that comes later than the callback. Copies freely.
using Request = mohhos_request_t;

namespace detail {

inline std::uint64_t nanoseconds(Duration duration) {
  if (duration == kForever) return MOHHOS_FOREVER;
  return duration.count() > 0 ? static_cast<std::uint64_t>(duration.count()) : 0;
}

inline mohhos_send_options_t raw(const SendOptions& options) {
  return {.struct_size = sizeof(mohhos_send_options_t),
          .type = static_cast<std::uint32_t>(options.type),
          .priority = options.priority,
          .flags = (options.more ? std::uint32_t{MOHHOS_SEND_MORE} : 0U) |
                   (options.durable ? std::uint32_t{MOHHOS_SEND_DURABLE} : 0U),
          .deadline_ns = options.deadline_ns,
          .timeout_ns = nanoseconds(options.timeout),
          .memory = options.memory != nullptr ? options.memory->take_for_sending() : 0};
}

} // namespace detail
} // namespace mohhos
