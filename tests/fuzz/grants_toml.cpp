// grants.d/<name>.toml: what is accepted is written again and read as the same policy.
#include <cstdint>
#include <cstdlib>

#include "security/policy.hpp"

using namespace mohhos::security;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto policy = parse_policy({reinterpret_cast<const char*>(data), size}, "grant.toml");
  if (!policy) return 0;
  const std::string text = render_policy(*policy);
  const auto again = parse_policy(text, "grant.toml");
  if (!again || render_policy(*again) != text || again->config != policy->config) std::abort();
  return 0;
}
