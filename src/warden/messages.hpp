// What the manager says, checked whole before any of it is used: type, size, version, descriptors,
// and that every text ends inside its array. A message that is not exactly right is the manager's
// end: whoever speaks wrongly here is broken or taken over.
#pragma once

#include <span>
#include <variant>

#include "base/error.hpp"
#include "base/fixed_text.hpp"
#include "warden/protocol.hpp"

namespace mohhos::warden {

using Request = std::variant<Signal, Launch, Target, Keep, Forget>;

// Malformed says what is wrong. [pure]
[[nodiscard]] Result<Request> parse_request(std::span<const std::byte> bytes,
                                            std::size_t descriptors);

template <class T>
std::span<const std::byte> bytes_of(const T& message) {
  static_assert(kIsMessage<T>);
  return std::as_bytes(std::span(&message, 1));
}

} // namespace mohhos::warden
