// The secret half: generate, read, write, sign.
//
// File: "Ed", kdf ("Sc" or two zeros), "B2", salt[32], opslimit, memlimit (u64 little-endian), and
// then, xored with scrypt's output where there is a kdf: key id[8], key[64], checksum[32]. A file
// without a kdf has no checksum.
#include "security/minisign.hpp"

#include <algorithm>
#include <cstring>

#include <sodium.h>
#include <sys/stat.h>

#include "base/check.hpp"
#include "security/minisign_text.hpp"
#include "sys/file.hpp"
#include "sys/status.hpp"

namespace mohhos::security {
namespace {

constexpr std::size_t kSalt = 6;
constexpr std::size_t kOpslimit = 38;
constexpr std::size_t kMemlimit = 46;
constexpr std::size_t kKeyId = 54;
constexpr std::size_t kKey = 62;
constexpr std::size_t kChecksum = 126;
constexpr std::size_t kEncodedSize = 158;
constexpr std::size_t kLongestComment = 1000;

// The decoded file; wiped.
struct Decoded {
  std::array<std::uint8_t, kEncodedSize> bytes{};
  Decoded() = default;
  Decoded(const Decoded&) = delete;
  Decoded& operator=(const Decoded&) = delete;
  ~Decoded() { sodium_memzero(bytes.data(), bytes.size()); }
};

void make_ready() {
  CHECK(sodium_init() >= 0);
} // the random generator; later calls do nothing

std::uint64_t load64(const std::uint8_t* bytes) {
  std::uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = value << 8 | bytes[i];
  return value;
}

std::array<std::uint8_t, 32> checksum(const Decoded& file) {
  std::array<std::uint8_t, 32> sum{};
  crypto_generichash_state state;
  crypto_generichash_init(&state, nullptr, 0, sum.size());
  crypto_generichash_update(&state, file.bytes.data(), 2);
  crypto_generichash_update(&state, file.bytes.data() + kKeyId, kChecksum - kKeyId);
  crypto_generichash_final(&state, sum.data(), sum.size());
  return sum;
}

// Xors the second part of the file with scrypt's output. The cost is the file's wish, so it is
// bounded by what minisign itself uses.
Result<> decrypt(Decoded& file, const AskPassword& ask_password) {
  const std::uint64_t operations = load64(file.bytes.data() + kOpslimit);
  const std::uint64_t memory = load64(file.bytes.data() + kMemlimit);
  if (operations > crypto_pwhash_scryptsalsa208sha256_OPSLIMIT_SENSITIVE ||
      memory > crypto_pwhash_scryptsalsa208sha256_MEMLIMIT_SENSITIVE)
    return fail(
        Code::TooLarge,
        "the secret key asks for {} bytes of memory to decrypt it, and minisign never for more "
        "than {}",
        memory, crypto_pwhash_scryptsalsa208sha256_MEMLIMIT_SENSITIVE);
  std::optional<std::string> password = ask_password ? ask_password() : std::nullopt;
  if (!password)
    return fail(Code::Denied,
                "the secret key is encrypted and there is nobody to ask for its password (a key "
                "without one: plugctl key generate, or minisign -G -W)");
  std::array<std::uint8_t, kEncodedSize - kKeyId> stream{};
  const int derived = crypto_pwhash_scryptsalsa208sha256(
      stream.data(), stream.size(), password->data(), password->size(), file.bytes.data() + kSalt,
      operations, static_cast<std::size_t>(memory));
  sodium_memzero(password->data(), password->size());
  if (derived != 0)
    return fail(Code::Exhausted, "not enough memory to decrypt the secret key ({} bytes)", memory);
  for (std::size_t i = 0; i < stream.size(); ++i) file.bytes[kKeyId + i] ^= stream[i];
  sodium_memzero(stream.data(), stream.size());
  const auto sum = checksum(file);
  if (sodium_memcmp(sum.data(), file.bytes.data() + kChecksum, sum.size()) != 0)
    return fail(Code::Denied, "wrong password for this secret key");
  return {};
}

bool is_kdf(const Decoded& file, char first, char second) {
  return file.bytes[2] == static_cast<std::uint8_t>(first) &&
         file.bytes[3] == static_cast<std::uint8_t>(second);
}

} // namespace

SecretKey::SecretKey(SecretKey&& other) noexcept : id_(other.id_), key_(other.key_) {
  sodium_memzero(other.key_.data(), other.key_.size());
}

SecretKey& SecretKey::operator=(SecretKey&& other) noexcept {
  if (this != &other) {
    id_ = other.id_;
    key_ = other.key_;
    sodium_memzero(other.key_.data(), other.key_.size());
  }
  return *this;
}

SecretKey::~SecretKey() {
  sodium_memzero(key_.data(), key_.size());
}

PublicKey SecretKey::public_key() const {
  PublicKey key{.id = id_};
  std::copy_n(key_.begin() + 32, key.point.size(), key.point.begin());
  return key;
}

SecretKey generate_key() {
  make_ready();
  SecretKey key;
  randombytes_buf(key.id_.bytes.data(), key.id_.bytes.size());
  std::array<std::uint8_t, 32> point{};
  CHECK(crypto_sign_keypair(point.data(), key.key_.data()) == 0);
  return key;
}

Result<SecretKey> parse_secret_key(std::string_view text, const AskPassword& ask_password) {
  std::string_view rest = text;
  auto line = take_line(rest);
  if (line && line->starts_with("untrusted comment:")) line = take_line(rest);
  Decoded file;
  if (!line || !decode_base64(*line, file.bytes))
    return fail(Code::Untrusted,
                "not a minisign secret key: a comment line and a line of 212 base64 characters");
  if (file.bytes[0] != 'E' || file.bytes[1] != 'd' || file.bytes[4] != 'B' || file.bytes[5] != '2')
    return fail(Code::Untrusted, "a secret key of an unknown algorithm (minisign's are Ed and B2)");
  if (is_kdf(file, 'S', 'c')) {
    TRY(decrypt(file, ask_password));
  } else if (!is_kdf(file, '\0', '\0')) {
    return fail(Code::Untrusted, "a secret key encrypted in an unknown way (minisign's is Sc)");
  }
  SecretKey key;
  std::copy_n(file.bytes.begin() + kKeyId, key.id_.bytes.size(), key.id_.bytes.begin());
  std::copy_n(file.bytes.begin() + kKey, key.key_.size(), key.key_.begin());
  // Signing with a public half of somebody's choice gives the secret one away.
  std::array<std::uint8_t, 32> point{};
  std::array<std::uint8_t, 64> expected{};
  crypto_sign_seed_keypair(point.data(), expected.data(), key.key_.data());
  const bool whole = sodium_memcmp(expected.data(), key.key_.data(), expected.size()) == 0;
  sodium_memzero(expected.data(), expected.size());
  if (!whole)
    return fail(Code::Untrusted, "the secret key is damaged: its public half is another key's");
  return key;
}

std::string format_secret_key(const SecretKey& key) {
  Decoded file;
  file.bytes[0] = 'E';
  file.bytes[1] = 'd';
  file.bytes[4] = 'B';
  file.bytes[5] = '2';
  std::ranges::copy(key.id_.bytes, file.bytes.begin() + kKeyId);
  std::ranges::copy(key.key_, file.bytes.begin() + kKey);
  return fmt::format("{}minisign secret key {} (not encrypted)\n{}\n", kUntrustedPrefix,
                     to_string(key.id_), encode_base64(file.bytes));
}

Result<> write_key_pair(const SecretKey& key, const std::string& secret_path,
                        const std::string& public_path) {
  if (sys::status_of(public_path))
    return fail(Code::Exists, "{} exists and is not overwritten", public_path);
  std::string secret = format_secret_key(key);
  const auto written = sys::create_file(secret_path, secret, 0600);
  sodium_memzero(secret.data(), secret.size());
  TRY(written);
  return sys::create_file(public_path, format_public_key(key.public_key()), 0644);
}

Result<SecretKey> read_secret_key(const std::string& path, const AskPassword& ask_password) {
  TRY(const sys::Fd fd, sys::open_regular(path));
  TRY(const sys::FileStatus status, sys::status_of(fd.get()));
  if ((status.mode & (S_IRWXG | S_IRWXO)) != 0)
    return fail(Code::Denied, "{} is a secret key and open to others (mode {:04o}): chmod 600 {}",
                path, status.mode & 07777U, path);
  TRY(std::string text, sys::read_all(fd.get(), kLargestKeyFile));
  auto key = parse_secret_key(text, ask_password);
  sodium_memzero(text.data(), text.size());
  if (!key) return std::unexpected(std::move(key).error().within(path));
  return key;
}

std::string sign(const SecretKey& key, std::span<const std::byte> bytes,
                 std::string_view trusted_comment) {
  CHECK(trusted_comment.size() <= kLongestComment &&
        trusted_comment.find_first_of("\r\n") == std::string_view::npos);
  std::array<std::uint8_t, 2 + 8 + 64> first{'E', 'D'};
  std::ranges::copy(key.id_.bytes, first.begin() + 2);
  const Blake2b hash = blake2b(bytes);
  crypto_sign_detached(first.data() + 10, nullptr, hash.data(), hash.size(), key.key_.data());
  std::string covered(reinterpret_cast<const char*>(first.data() + 10), 64);
  covered += trusted_comment;
  std::array<std::uint8_t, 64> global{};
  crypto_sign_detached(global.data(), nullptr,
                       reinterpret_cast<const std::uint8_t*>(covered.data()), covered.size(),
                       key.key_.data());
  return fmt::format("{}signature from key {}\n{}\n{}{}\n{}\n", kUntrustedPrefix,
                     to_string(key.id_), encode_base64(first), kTrustedPrefix, trusted_comment,
                     encode_base64(global));
}

} // namespace mohhos::security
