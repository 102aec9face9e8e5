// The section .mohhos.manifest: what is accepted has a name that is safe as a file's, and can be
// shown.
#include <cstdint>
#include <cstdlib>

#include "security/manifest.hpp"

using namespace mohhos::security;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
  const auto metadata = parse_manifest(bytes);
  if (metadata && (!mohhos::model::is_plugin_name(metadata->name) || !manifest_json(bytes)))
    std::abort();
  return 0;
}
