// A Spec from a manager that was taken over: verified, or refused; and any path against any
// verified Spec.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

#include "sandbox/verify.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mohhos::sandbox;
  const auto spec = std::make_unique<Spec>();
  std::memcpy(static_cast<void*>(spec.get()), data, std::min(size, sizeof(Spec)));
  const std::string_view path =
      size > sizeof(Spec) ? std::string_view(reinterpret_cast<const char*>(data) + sizeof(Spec),
                                             size - sizeof(Spec))
                          : std::string_view("/usr/lib/../lib/x");
  (void)classify_path(*spec, path); // bounded even where the Spec is not verified
  if (!verify_spec(*spec)) return 0;
  if (spec->mount_count > kMaxMounts) std::abort();
  for (std::size_t i = 0; i < spec->mount_count; ++i)
    if (std::memchr(spec->mounts[i].target, 0, kPathSize) == nullptr ||
        spec->mounts[i].target[0] != '/')
      std::abort();
  return 0;
}
