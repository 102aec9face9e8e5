// plugin.toml: what is accepted compiles to bytes that are accepted with the same meaning.
#include <cstdint>
#include <cstdlib>

#include "security/manifest.hpp"

using namespace mohhos::security;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto metadata = parse_manifest_toml(text, "plugin.toml");
  const auto bytes = compile_manifest(text, "plugin.toml");
  if (bytes && !metadata) std::abort();
  if (!bytes) return 0;
  const auto again = parse_manifest(std::as_bytes(std::span(*bytes)));
  if (!again || again->name != metadata->name || again->config != metadata->config ||
      again->capabilities != metadata->capabilities)
    std::abort();
  return 0;
}
