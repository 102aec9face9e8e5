#include "ipc/message_names.hpp"

#include <array>

namespace mohhos::ipc {
namespace {

template <class Value>
struct Name {
  Value value;
  std::string_view text;
};

constexpr std::array kTypes = {
    Name{MessageType::Init, "init"},
    Name{MessageType::Shutdown, "shutdown"},
    Name{MessageType::ConfigUpdate, "config-update"},
    Name{MessageType::DataRequest, "data-request"},
    Name{MessageType::DataResponse, "data-response"},
    Name{MessageType::EventNotify, "event-notify"},
    Name{MessageType::AiInference, "ai-inference"},
    Name{MessageType::Custom, "custom"},
};
static_assert(kTypes.size() == kMessageTypeCount);
constexpr std::array kPriorities = {
    Name{Priority::Low, "low"},
    Name{Priority::Normal, "normal"},
    Name{Priority::High, "high"},
    Name{Priority::Critical, "critical"},
};

template <class Table, class Value>
std::string_view name_in(const Table& table, Value value) noexcept {
  for (const auto& row : table)
    if (row.value == value) return row.text;
  return "unknown";
}

template <class Table>
auto find_in(const Table& table, std::string_view text) noexcept
    -> std::optional<decltype(table[0].value)> {
  for (const auto& row : table)
    if (row.text == text) return row.value;
  return std::nullopt;
}

template <class Table>
std::string listed(const Table& table) {
  std::string text;
  for (const auto& row : table) text.append(text.empty() ? "" : ", ").append(row.text);
  return text;
}

} // namespace

std::string_view type_name(MessageType type) noexcept {
  return name_in(kTypes, type);
}
std::string_view priority_name(Priority priority) noexcept {
  return name_in(kPriorities, priority);
}
std::optional<MessageType> parse_message_type(std::string_view text) noexcept {
  return find_in(kTypes, text);
}
std::optional<Priority> parse_priority(std::string_view text) noexcept {
  return find_in(kPriorities, text);
}
std::string message_type_names() {
  return listed(kTypes);
}
std::string priority_names() {
  return listed(kPriorities);
}

} // namespace mohhos::ipc
