// The host table's functions for memories that ride along messages.
#pragma once

#include "loader/host_table.hpp"

namespace mohhos::loader {

struct HostTable::MemoryCalls {
  static std::int32_t make_memory(const mohhos_host_t* host, std::uint64_t size,
                                  std::uint64_t timeout_ns, mohhos_memory_t* memory,
                                  void** data) noexcept;
  static std::int32_t take_memory(const mohhos_host_t* host, const mohhos_message_t* message,
                                  mohhos_memory_t* memory, const void** data,
                                  std::uint64_t* size) noexcept;
  static std::int32_t drop_memory(const mohhos_host_t* host, mohhos_memory_t memory) noexcept;
  static std::int32_t reply_memory(const mohhos_host_t* host, const mohhos_request_t* request,
                                   const void* data, std::size_t size, mohhos_memory_t memory,
                                   std::uint64_t timeout_ns) noexcept;
};

} // namespace mohhos::loader
