// minisign's files: public key, secret key, signature. Debian's minisign 0.11 reads what we write
// and we read what it writes.
//
// A signature file has two signatures. The first is over BLAKE2b-512 of the signed bytes (algorithm
// "ED"; the legacy "Ed", which signs the bytes themselves, is refused: it cannot be checked without
// a second pass over attacker-chosen lengths, and accepting two algorithms is a way to confuse
// them). The second, 'global' one is over the first and the trusted comment, so that the comment
// can be believed too.
//
// A key id is eight bytes that anybody can copy. It selects a key and proves nothing: whatever is
// decided is decided by the whole public key. Every failure here is Code::Untrusted and says which
// of these went wrong.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/units.hpp"

namespace mohhos::security {

// No signature file that we accept is longer (the warden's messages have room for this much).
inline constexpr Bytes kLargestSignature = {2048};
inline constexpr Bytes kLargestKeyFile = {1024};

struct KeyId {
  std::array<std::uint8_t, 8> bytes{}; // a little-endian number
  friend constexpr auto operator<=>(const KeyId&, const KeyId&) = default;
};
// "B08A12725892A293": 16 digits, as minisign prints it. [pure]
[[nodiscard]] std::string to_string(const KeyId& id);
// 16 hexadecimal digits of either case; Invalid names the text. [pure]
[[nodiscard]] Result<KeyId> parse_key_id(std::string_view text);

struct PublicKey {
  KeyId id;
  std::array<std::uint8_t, 32> point{};
  friend bool operator==(const PublicKey&, const PublicKey&) = default;
};
// A .pub file (comment line, key line) or the key line alone. Low-order and non-canonical points,
// and points off the curve, are refused here, at import: some verifiers accept anything in their
// name. [pure]
[[nodiscard]] Result<PublicKey> parse_public_key(std::string_view text);
// The .pub file. [pure]
[[nodiscard]] std::string format_public_key(const PublicKey& key);
// The key line alone, "RWQ…". [pure]
[[nodiscard]] std::string encode_public_key(const PublicKey& key);

// Wiped when destroyed.
class SecretKey {
public:
  SecretKey(SecretKey&& other) noexcept;
  SecretKey& operator=(SecretKey&& other) noexcept;
  SecretKey(const SecretKey&) = delete;
  SecretKey& operator=(const SecretKey&) = delete;
  ~SecretKey();

  [[nodiscard]] PublicKey public_key() const;

private:
  SecretKey() = default;
  friend SecretKey generate_key();
  friend Result<SecretKey> parse_secret_key(std::string_view,
                                            const std::function<std::optional<std::string>()>&);
  friend std::string format_secret_key(const SecretKey&);
  friend std::string sign(const SecretKey&, std::span<const std::byte>, std::string_view);

  KeyId id_;
  std::array<std::uint8_t, 64> key_{}; // seed and public point, as libsodium has it
};

// A new key with a random id. [any]
[[nodiscard]] SecretKey generate_key();
// Asks for the password of an encrypted key file; nothing: there is nobody to ask.
using AskPassword = std::function<std::optional<std::string>()>;
// A secret key file, encrypted (scrypt; takes about a second and up to 1 GiB) or not. The public
// half must belong to the secret one. [any]
[[nodiscard]] Result<SecretKey> parse_secret_key(std::string_view text,
                                                 const AskPassword& ask_password = {});
// The secret key file, not encrypted, as `minisign -G -W` writes it. [pure]
[[nodiscard]] std::string format_secret_key(const SecretKey& key);
// Writes NAME.key (0600) and NAME.pub (0644), neither of which may exist. [any]
[[nodiscard]] Result<> write_key_pair(const SecretKey& key, const std::string& secret_path,
                                      const std::string& public_path);
// Reads a secret key file. Others must not be able to read it: Denied names the mode. [any]
[[nodiscard]] Result<SecretKey> read_secret_key(const std::string& path,
                                                const AskPassword& ask_password = {});
[[nodiscard]] Result<PublicKey> read_public_key(const std::string& path);

// The .minisig file for these bytes. The comment is one line of at most 1000 bytes (checked:
// CHECK). [pure]
[[nodiscard]] std::string sign(const SecretKey& key, std::span<const std::byte> bytes,
                               std::string_view trusted_comment);

struct Signature {
  KeyId id;
  std::array<std::uint8_t, 64> over_hash{};
  std::string trusted_comment; // believe it only after verify_signature
  std::array<std::uint8_t, 64> global{};
};
// Untrusted names the line that is wrong, or says that it is a legacy signature. [pure]
[[nodiscard]] Result<Signature> parse_signature(std::string_view text);

// BLAKE2b-512, the hash that is signed. [pure]
using Blake2b = std::array<std::uint8_t, 64>;
[[nodiscard]] Blake2b blake2b(std::span<const std::byte> bytes);

// Both signatures, by this key. Untrusted says which: another key (the ids are equal or not),
// changed bytes, or a changed comment. [pure]
[[nodiscard]] Result<> verify_signature(const Signature& signature, const PublicKey& key,
                                        const Blake2b& hash);

} // namespace mohhos::security
