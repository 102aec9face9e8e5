// mohhosd.toml: any bytes are a configuration or an error.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "manager/config.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  mohhos::manager::Config config;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static_cast<void>(mohhos::manager::parse_config(text, "mohhosd.toml", config));
  return 0;
}
