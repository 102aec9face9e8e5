// Rights → the sandbox as a value: a Grant and the plugin's metadata become a Spec (for the warden)
// and a Boot (for the host). Decides; builds nothing.
#pragma once

#include <string>
#include <vector>

#include "model/grant.hpp"
#include "model/metadata.hpp"
#include "sandbox/boot.hpp"
#include "sandbox/filter.hpp"
#include "sandbox/spec.hpp"

namespace mohhos::sandbox {

// What every plugin sees of the machine: libraries, ld.so's cache, and the symbolic links among
// them.
struct SystemLayout {
  struct Link {
    std::string path; // "/lib64"
    std::string text; // "usr/lib64"
  };
  std::vector<std::string> directories; // bound read-only at the same place
  std::vector<std::string> files;
  std::vector<Link> links;
};
// As this machine has it (Debian's merged /usr, or not). Looked up once. [any]
[[nodiscard]] SystemLayout find_system_layout();

struct CompileOptions {
  model::SandboxLevel floor =
      model::SandboxLevel::L1;    // the operator's; the manifest's own is added
  model::WallSet extra_walls = 0; // required besides the level's
};

// Resolves symbolic links in the granted paths (the target keeps the granted name, the source is
// what it leads to: the warden follows none). Invalid, TooLarge name the path and what to do. Paths
// that the caller cannot see are left as they are, for the warden to judge. [any]
[[nodiscard]] Result<Spec> compile(const model::Grant& grant, const model::Metadata& metadata,
                                   const SystemLayout& system, const CompileOptions& options = {});

// What goes with the Spec into the host: Landlock rules from its mounts, the filters of the grant.
// [pure]
[[nodiscard]] Boot compile_boot(const Spec& spec, const model::Grant& grant,
                                const model::Metadata& metadata, const FilterPair& filters,
                                PluginId plugin, Generation generation);

// The Landlock rules that say the same as the mounts. [pure]
[[nodiscard]] std::vector<LandlockRule> landlock_rules(const Spec& spec);

} // namespace mohhos::sandbox
