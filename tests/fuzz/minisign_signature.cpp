// A .minisig file, from anybody: parsed and checked against a fixed key. No input is a valid
// signature.
#include <cstdint>
#include <cstdlib>

#include "security/minisign.hpp"

using namespace mohhos::security;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const PublicKey key =
      parse_public_key("RWSTopJYchKKsJj2hqziUF2tvjb2XdPR6z9U1polt3D4u8r776Ft6BvN").value();
  static const Blake2b hash = blake2b({});
  const auto signature = parse_signature({reinterpret_cast<const char*>(data), size});
  if (!signature) return signature.error().text.empty() ? std::abort(), 0 : 0;
  if (verify_signature(*signature, key, hash)) std::abort();
  return 0;
}
