// The boot block: any bytes are a Boot or Malformed, and what was read is within its bounds.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "sandbox/boot.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mohhos::sandbox;
  const auto boot = parse_boot(std::as_bytes(std::span(data, size)));
  if (!boot) return 0;
  if (boot->name.size() >= kBootNameSize || boot->landlock.size() > kMaxLandlockRules ||
      boot->confine.empty() || boot->confine.size() > kMaxFilterLength ||
      boot->tighten.size() > kMaxFilterLength)
    std::abort();
  if (!parse_boot(serialize_boot(*boot))) std::abort(); // what we read we can write
  return 0;
}
