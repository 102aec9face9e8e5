// A plugin file that passed everything that can be known without running it: signature, ELF rules,
// manifest. The registry and the launch take this type; only open_package makes one.
#pragma once

#include <string>
#include <string_view>

#include "model/metadata.hpp"
#include "security/elf.hpp"
#include "security/image.hpp"

namespace mohhos::security {

class VerifiedPackage {
public:
  [[nodiscard]] int fd() const { return image_.fd(); }
  [[nodiscard]] const VerifiedImage& image() const { return image_; }
  [[nodiscard]] const PublicKey& signer() const { return image_.signer(); }
  [[nodiscard]] const model::Metadata& metadata() const { return metadata_; }
  [[nodiscard]] const ElfReport& report() const { return report_; }
  // The .minisig file, for the warden's own check. [pure]
  [[nodiscard]] const std::string& signature() const { return signature_; }
  // Computed now (3 ms per MB), kept nowhere. [pure]
  [[nodiscard]] std::string sha256() const { return sha256_hex(image_.bytes()); }
  // Gives the sealed memory away (custody); the mapping stays. [any]
  [[nodiscard]] sys::Fd take_fd() { return image_.take_fd(); }

private:
  explicit VerifiedPackage(VerifiedImage image) : image_(std::move(image)) {}
  friend Result<VerifiedPackage> open_package(sys::Fd, std::string, const Keyring&,
                                              const ElfPolicy&);

  VerifiedImage image_;
  std::string signature_;
  model::Metadata metadata_;
  ElfReport report_;
};

// verify_image, analyse_elf, the manifest of section .mohhos.manifest, in this order: nothing of
// the file is parsed before its signature holds. Errors are those of the three. [any]
[[nodiscard]] Result<VerifiedPackage> open_package(sys::Fd image, std::string signature,
                                                   const Keyring& keyring,
                                                   const ElfPolicy& policy = ElfPolicy::standard());

} // namespace mohhos::security
