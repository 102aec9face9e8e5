#include "security/package.hpp"

#include "security/manifest.hpp"

namespace mohhos::security {

Result<VerifiedPackage> open_package(sys::Fd image, std::string signature, const Keyring& keyring,
                                     const ElfPolicy& policy) {
  TRY(VerifiedImage verified, verify_image(std::move(image), signature, keyring));
  VerifiedPackage package(std::move(verified));
  package.signature_ = std::move(signature);
  package.report_ = analyse_elf(package.image_.bytes(), policy);
  TRY(package.report_.may_load());
  auto manifest = find_section(package.image_.bytes(), kManifestSection);
  if (!manifest && manifest.error().code == Code::NotFound)
    return fail(
        Code::Malformed,
        "it has no manifest: build it with mohhos_add_plugin, or add one with plugctl manifest");
  TRY(const auto section, std::move(manifest));
  TRY(package.metadata_, parse_manifest(section));
  return package;
}

} // namespace mohhos::security
