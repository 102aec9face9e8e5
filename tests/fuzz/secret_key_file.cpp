// A secret key file, with nobody to ask for a password: what is accepted is written again and read
// as the same key.
#include <cstdint>
#include <cstdlib>

#include "security/minisign.hpp"

using namespace mohhos::security;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto key = parse_secret_key({reinterpret_cast<const char*>(data), size});
  if (key && parse_secret_key(format_secret_key(*key))->public_key() != key->public_key())
    std::abort();
  return 0;
}
