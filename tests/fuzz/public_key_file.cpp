// A .pub file: what is accepted is written again and read as the same key.
#include <cstdint>
#include <cstdlib>

#include "security/minisign.hpp"

using namespace mohhos::security;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto key = parse_public_key({reinterpret_cast<const char*>(data), size});
  if (key && parse_public_key(format_public_key(*key)) != *key) std::abort();
  return 0;
}
