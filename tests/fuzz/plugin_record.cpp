// The record that a manager inherits: any bytes are one or an error, and what is read can be
// written again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "manager/record.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mohhos::manager;
  const auto bytes = std::as_bytes(std::span(data, size));
  static_cast<void>(parse_manager_record(bytes));
  const auto record = parse_plugin_record(bytes);
  if (!record) return 0;
  const std::string again = serialize(*record);
  if (!parse_plugin_record(std::as_bytes(std::span(again)))) std::abort();
  return 0;
}
