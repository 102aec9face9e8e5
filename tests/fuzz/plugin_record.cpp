// The records that a manager inherits, of a plugin and of itself: any bytes are one or an error,
// and what is read can be written again.
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/check.hpp"
#include "manager/record.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mohhos::manager;
  const auto bytes = std::as_bytes(std::span(data, size));
  if (const auto manager = parse_manager_record(bytes)) {
    const std::string again = serialize(*manager);
    const auto back = parse_manager_record(std::as_bytes(std::span(again)));
    CHECK(back && serialize(*back) == again);
  }
  if (const auto plugin = parse_plugin_record(bytes)) {
    const std::string again = serialize(*plugin);
    const auto back = parse_plugin_record(std::as_bytes(std::span(again)));
    CHECK(back && serialize(*back).size() == again.size()); // the order in a map is nobody's
  }
  return 0;
}
