// trust.toml: any text has a value or an error.
#include <cstdint>

#include "security/trust.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  (void)mohhos::security::parse_trust({reinterpret_cast<const char*>(data), size}, "trust.toml");
  return 0;
}
