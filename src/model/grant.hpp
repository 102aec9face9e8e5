// What a plugin got: manifest ∩ the key's ceiling ∩ the operator's policy. Paths are final.
#pragma once

#include <map>
#include <string>

#include "model/acl.hpp"
#include "model/capability.hpp"
#include "model/limits.hpp"

namespace mohhos::model {

// How far a signing key is trusted (trust.toml); a ceiling for what its plugins may get.
enum class TrustLevel : unsigned char { None = 0, Community = 1, Verified = 2, System = 3 };

struct Grant {
  CapabilitySet capabilities;
  Acl acl;
  ResourceLimits limits;
  std::map<std::string, std::string> config;
};

} // namespace mohhos::model
