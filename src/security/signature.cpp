#include "security/minisign.hpp"

#include <algorithm>

#include <sodium.h>

#include "security/minisign_text.hpp"

namespace mohhos::security {
namespace {

std::unexpected<Error> malformed(int line, std::string_view expected) {
  return fail(Code::Untrusted, "the signature file is malformed: line {} is not {}", line,
              expected);
}

bool holds(const std::array<std::uint8_t, 64>& signature, std::string_view message,
           const PublicKey& key) {
  return crypto_sign_verify_detached(signature.data(),
                                     reinterpret_cast<const std::uint8_t*>(message.data()),
                                     message.size(), key.point.data()) == 0;
}

std::string_view as_text(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

} // namespace

// What follows the fourth line is ignored, as minisign does.
Result<Signature> parse_signature(std::string_view text) {
  if (text.size() > kLargestSignature.count)
    return fail(Code::Untrusted, "the signature file has {} bytes, and the limit is {}",
                text.size(), kLargestSignature.count);
  Signature signature;
  std::string_view rest = text;
  const auto untrusted = take_line(rest);
  if (!untrusted || !untrusted->starts_with(kUntrustedPrefix))
    return malformed(1, "'untrusted comment: …'");
  std::array<std::uint8_t, 2 + 8 + 64> first{};
  const auto over_hash = take_line(rest);
  if (!over_hash || !decode_base64(*over_hash, first))
    return malformed(2, "a signature of 100 base64 characters");
  if (first[0] == 'E' && first[1] == 'd')
    return fail(Code::Untrusted,
                "a legacy signature (minisign -l, algorithm Ed): sign again without -l");
  if (first[0] != 'E' || first[1] != 'D') return malformed(2, "a signature of algorithm ED");
  std::copy_n(first.begin() + 2, signature.id.bytes.size(), signature.id.bytes.begin());
  std::copy_n(first.begin() + 10, signature.over_hash.size(), signature.over_hash.begin());
  const auto trusted = take_line(rest);
  if (!trusted || !trusted->starts_with(kTrustedPrefix))
    return malformed(3, "'trusted comment: …'");
  signature.trusted_comment = trusted->substr(kTrustedPrefix.size());
  const auto global = take_line(rest);
  if (!global || !decode_base64(*global, signature.global))
    return malformed(4, "a signature of 88 base64 characters");
  return signature;
}

Blake2b blake2b(std::span<const std::byte> bytes) {
  Blake2b hash{};
  crypto_generichash(hash.data(), hash.size(), reinterpret_cast<const std::uint8_t*>(bytes.data()),
                     bytes.size(), nullptr, 0);
  return hash;
}

Result<> verify_signature(const Signature& signature, const PublicKey& key, const Blake2b& hash) {
  const std::string id = to_string(signature.id);
  if (signature.id != key.id)
    return fail(Code::Untrusted, "the signature was made by key {}, not by key {}", id,
                to_string(key.id));
  const bool bytes_hold = holds(signature.over_hash, as_text(hash), key);
  std::string covered(as_text(signature.over_hash));
  covered += signature.trusted_comment;
  const bool comment_holds = holds(signature.global, covered, key);
  if (bytes_hold && comment_holds) return {};
  if (bytes_hold)
    return fail(
        Code::Untrusted,
        "the comment in the signature file is not the one that key {} signed: it was changed", id);
  if (comment_holds)
    return fail(Code::Untrusted,
                "the file's bytes are not the ones that key {} signed: they were changed, or the "
                "signature belongs to another file",
                id);
  return fail(
      Code::Untrusted,
      "wrong key: the signature names key {} but the key of that id in the keyring did not make "
      "it (or the signature itself was changed)",
      id);
}

} // namespace mohhos::security
