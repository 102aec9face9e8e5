// From a filled PluginManifest to a Metadata: every rule of the manifest that is not its schema's.
#pragma once

#include "model/metadata.hpp"
#include "security/toml_message.hpp"

namespace mohhos::v1 {
class PluginManifest;
}

namespace mohhos::security {

// Invalid names the place, the key, the value and what is allowed. [pure]
[[nodiscard]] Result<model::Metadata> check_manifest(const v1::PluginManifest& manifest,
                                                     const Source& source);

} // namespace mohhos::security
