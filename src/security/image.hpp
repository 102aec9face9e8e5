// Verified bytes: the only thing that is ever parsed, launched or loaded.
//
// The bytes are in sealed memory before they are checked, so what was checked is what is used. A
// VerifiedImage can only come from verify_image; the warden and the manager each make their own.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/units.hpp"
#include "security/keyring.hpp"
#include "sys/fd.hpp"
#include "sys/mapping.hpp"

namespace mohhos::security {

inline constexpr Bytes kLargestImage = mib(256); // of a plugin file

class VerifiedImage {
public:
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] std::span<const std::byte> bytes() const { return mapping_.bytes(); }
  [[nodiscard]] const PublicKey& signer() const { return signer_; }
  [[nodiscard]] const std::string& trusted_comment() const { return trusted_comment_; }
  [[nodiscard]] const Blake2b& hash() const { return hash_; }
  // Gives the sealed memory away; the mapping stays. [any]
  [[nodiscard]] sys::Fd take_fd() { return std::move(fd_); }

private:
  VerifiedImage() = default;
  friend Result<VerifiedImage> verify_image(sys::Fd, std::string_view, const Keyring&);

  sys::Fd fd_;
  sys::Mapping mapping_;
  PublicKey signer_;
  std::string trusted_comment_;
  Blake2b hash_{};
};

// `image`: memory whose content can never change (sys::make_sealed, sys::seal_file). `signature`:
// the content of the .minisig file; empty: there is none, which is refused like everything else
// that is not signed by a key of the keyring (Untrusted). About 1 ms per MB. [any]
[[nodiscard]] Result<VerifiedImage> verify_image(sys::Fd image, std::string_view signature,
                                                 const Keyring& keyring);

// The signature that lies beside a plugin file: the content of `path`.minisig. Untrusted if there
// is none. [any]
[[nodiscard]] Result<std::string> read_signature_beside(const std::filesystem::path& path);

// SHA-256 in hexadecimal, as sha256sum prints it: for people and logs; nothing is decided by it.
// About 3 ms per MB. [pure]
[[nodiscard]] std::string sha256_hex(std::span<const std::byte> bytes);

} // namespace mohhos::security
