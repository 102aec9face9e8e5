// What the functions of the host table have in common.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/error.hpp"
#include "loader/host_table.hpp"

namespace mohhos::loader {

[[nodiscard]] inline HostTable& table_of(const mohhos_host_t* host) {
  return *static_cast<HostTable*>(host->host_data);
}

[[nodiscard]] inline Monotonic deadline_in(std::uint64_t timeout_ns) {
  return ipc::Deadline::within(timeout_ns).at();
}

[[nodiscard]] inline std::span<const std::byte> bytes_of(const void* data, std::size_t size) {
  return {static_cast<const std::byte*>(data), size};
}

// What stands in for a message that there is not.
[[nodiscard]] inline mohhos_message_t no_message() {
  mohhos_message_t message{};
  message.struct_size = sizeof message;
  message.sender_name = "";
  return message;
}

template <class T>
[[nodiscard]] std::int32_t outcome(const Result<T>& result) {
  return result ? MOHHOS_OK : to_abi(result.error().code);
}

} // namespace mohhos::loader
