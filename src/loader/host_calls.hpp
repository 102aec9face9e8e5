// The host table's functions, memories aside (host_memories.hpp).
#pragma once

#include "loader/host_table.hpp"

namespace mohhos::loader {

struct HostTable::Calls {
  static void log(const mohhos_host_t* host, std::int32_t level, const char* text) noexcept;
  static void fail(const mohhos_host_t*, const char* text) noexcept;
  static void panic(const mohhos_host_t*, const char* text) noexcept;
  static const char* config_get(const mohhos_host_t* host, const char* key) noexcept;
  static std::int32_t check_capability(const mohhos_host_t* host,
                                       std::uint32_t capability) noexcept;
  static std::uint64_t now_ns(const mohhos_host_t*) noexcept;
  static void wake(const mohhos_host_t* host) noexcept;
  static void wake_after(const mohhos_host_t* host, std::uint64_t delay_ns) noexcept;
  static std::int32_t open_channel(const mohhos_host_t* host, std::uint64_t target_id,
                                   const char* target_name, std::uint64_t ring_bytes,
                                   std::uint64_t timeout_ns, mohhos_channel_t* channel) noexcept;
  static std::int32_t send(const mohhos_host_t* host, mohhos_channel_t channel,
                           const mohhos_send_options_t* options, const void* data,
                           std::size_t size) noexcept;
  static std::int32_t loan(const mohhos_host_t* host, mohhos_channel_t channel,
                           const mohhos_send_options_t* options, std::size_t size,
                           void** data) noexcept;
  static std::int32_t commit(const mohhos_host_t* host, mohhos_channel_t channel) noexcept;
  static std::int32_t request(const mohhos_host_t* host, mohhos_channel_t channel,
                              const mohhos_send_options_t* options, const void* data,
                              std::size_t size, std::uint64_t timeout_ns, mohhos_reply_fn done,
                              void* user) noexcept;
  static std::int32_t reply(const mohhos_host_t* host, const mohhos_request_t* request,
                            std::int32_t status, const void* data, std::size_t size,
                            std::uint64_t timeout_ns) noexcept;
  static std::int32_t broadcast(const mohhos_host_t* host, std::uint32_t plugin_type,
                                const mohhos_send_options_t* options, const void* data,
                                std::size_t size) noexcept;
  static std::int32_t publish(const mohhos_host_t* host, std::uint32_t event,
                              const mohhos_send_options_t* options, const void* data,
                              std::size_t size) noexcept;
  static std::int32_t subscribe(const mohhos_host_t* host, std::uint64_t publisher,
                                const std::uint32_t* events, std::size_t count) noexcept;
  static std::int32_t call(const mohhos_host_t* host, mohhos_channel_t channel,
                           const mohhos_send_options_t* options, const void* data, std::size_t size,
                           std::uint64_t timeout_ns, mohhos_message_t* reply) noexcept;
  static std::int32_t sync(const mohhos_host_t* host, mohhos_channel_t channel,
                           std::uint64_t timeout_ns) noexcept;
  static std::int32_t begin_sync(const mohhos_host_t* host, mohhos_channel_t channel,
                                 std::uint64_t timeout_ns, mohhos_reply_fn done,
                                 void* user) noexcept;
  static std::int32_t call_after(const mohhos_host_t* host, std::uint64_t delay_ns,
                                 mohhos_timer_fn then, void* user) noexcept;
  static std::int32_t cancel(const mohhos_host_t* host, std::int32_t request) noexcept;
};

} // namespace mohhos::loader
