// Types and priorities of messages in words, as people write them: "data-request", "high".
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "ipc/message.hpp"

namespace mohhos::ipc {

// [pure]
[[nodiscard]] std::string_view type_name(MessageType type) noexcept;
[[nodiscard]] std::string_view priority_name(Priority priority) noexcept;
// Nothing: there is none of this name. [pure]
[[nodiscard]] std::optional<MessageType> parse_message_type(std::string_view text) noexcept;
[[nodiscard]] std::optional<Priority> parse_priority(std::string_view text) noexcept;
// "init, shutdown, …", for sentences. [pure]
[[nodiscard]] std::string message_type_names();
[[nodiscard]] std::string priority_names();

} // namespace mohhos::ipc
