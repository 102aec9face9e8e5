#include "security/image.hpp"

#include <sodium.h>

#include "sys/file.hpp"

namespace mohhos::security {
namespace {

// A signer's words on an operator's terminal: no control characters.
std::string printable(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = c == '\t' ? ' ' : '?';
  return text;
}

} // namespace

Result<VerifiedImage> verify_image(sys::Fd image, std::string_view signature,
                                   const Keyring& keyring) {
  if (signature.empty())
    return fail(
        Code::Untrusted,
        "it is not signed: it needs a .minisig file beside it (plugctl sign, or minisign -S)");
  TRY(const Signature parsed, parse_signature(signature));
  TRY(const PublicKey key, keyring.find(parsed.id));
  VerifiedImage verified;
  TRY(verified.mapping_, sys::map_sealed(image.get()));
  verified.hash_ = blake2b(verified.mapping_.bytes());
  TRY(verify_signature(parsed, key, verified.hash_));
  verified.fd_ = std::move(image);
  verified.signer_ = key;
  verified.trusted_comment_ = printable(parsed.trusted_comment);
  return verified;
}

Result<std::string> read_signature_beside(const std::filesystem::path& path) {
  const std::string beside = path.native() + ".minisig";
  auto text = sys::read_file(beside, kLargestSignature);
  if (text && text->empty())
    return fail(Code::Untrusted, "{} is empty: it is no signature", beside);
  if (text) return text;
  if (text.error().code == Code::NotFound)
    return fail(Code::Untrusted, "{} is not signed: there is no {} (plugctl sign, or minisign -S)",
                path.native(), beside);
  if (text.error().code == Code::TooLarge)
    return fail(Code::Untrusted, "{} is no signature: it has more than {} bytes", beside,
                kLargestSignature.count);
  return text;
}

std::string sha256_hex(std::span<const std::byte> bytes) {
  std::array<std::uint8_t, crypto_hash_sha256_BYTES> hash{};
  crypto_hash_sha256(hash.data(), reinterpret_cast<const std::uint8_t*>(bytes.data()),
                     bytes.size());
  std::string text;
  for (const std::uint8_t byte : hash) fmt::format_to(std::back_inserter(text), "{:02x}", byte);
  return text;
}

} // namespace mohhos::security
