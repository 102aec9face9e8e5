#include "monitor/audit.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <optional>

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/file.hpp"

namespace mohhos::monitor {
namespace {

constexpr std::string_view kFirstHash =
    "0000000000000000000000000000000000000000000000000000000000000000";
constexpr std::string_view kPrevKey = ",\"prev\":\"";
constexpr std::string_view kSeqKey = "{\"seq\":";
constexpr std::size_t kHashText = 64;
constexpr std::size_t kLongestRecord = 64 * 1024;

std::string hash_of(std::string_view line) {
  std::array<unsigned char, 32> hash{};
  crypto_generichash(hash.data(), hash.size(), reinterpret_cast<const unsigned char*>(line.data()),
                     line.size(), nullptr, 0);
  std::string text(hash.size() * 2 + 1, '\0');
  sodium_bin2hex(text.data(), text.size(), hash.data(), hash.size());
  text.pop_back();
  return text;
}

std::string json_value(const AuditValue& value) {
  struct {
    std::string operator()(std::string_view text) const { return json_string(text); }
    std::string operator()(std::uint64_t number) const { return std::to_string(number); }
    std::string operator()(std::int64_t number) const { return std::to_string(number); }
    std::string operator()(bool truth) const { return truth ? "true" : "false"; }
  } const print;
  return std::visit(print, value);
}

std::string timestamp() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  tm utc{};
  ::gmtime_r(&now.tv_sec, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", utc.tm_year + 1900,
                     utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                     now.tv_nsec / 1000);
}

struct Chained {
  std::uint64_t sequence = 0;
  std::string_view previous;
};

// What chains a line to the one before: its number at the front and the hash at the end, at fixed
// places, so that no JSON reader is needed to check a chain.
std::optional<Chained> parse_line(std::string_view line) {
  if (!line.starts_with(kSeqKey) || !line.ends_with("\"}")) return std::nullopt;
  Chained found;
  const char* from = line.data() + kSeqKey.size();
  const auto [end, error] = std::from_chars(from, line.data() + line.size(), found.sequence);
  if (error != std::errc() || *end != ',') return std::nullopt;
  const std::size_t tail = kPrevKey.size() + kHashText + 2;
  if (line.size() < tail || line.substr(line.size() - tail, kPrevKey.size()) != kPrevKey)
    return std::nullopt;
  found.previous = line.substr(line.size() - kHashText - 2, kHashText);
  return found;
}

// The last `size` bytes of the file.
Result<std::string> read_tail(int fd, std::uint64_t file_size, std::size_t size) {
  const std::uint64_t from = file_size > size ? file_size - size : 0;
  if (::lseek(fd, static_cast<off_t>(from), SEEK_SET) < 0) return fail_errno("lseek");
  return sys::read_all(fd, Bytes{size + 1});
}

struct Tail {
  std::uint64_t sequence = 0;
  std::string hash{kFirstHash};
  bool torn = false;
};

Tail end_of_chain(std::string_view tail) {
  Tail result;
  if (tail.empty()) return result;
  if (tail.back() != '\n') {
    result.torn = true;
    const auto last = tail.rfind('\n');
    tail = last == std::string_view::npos ? std::string_view() : tail.substr(0, last + 1);
  }
  if (tail.empty()) return result;
  tail.remove_suffix(1);
  const auto before = tail.rfind('\n');
  const std::string_view line = before == std::string_view::npos ? tail : tail.substr(before + 1);
  const auto chained = parse_line(line);
  result.sequence = chained ? chained->sequence : 0;
  result.hash = hash_of(line);
  return result;
}

} // namespace

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x80) {
      // Length by the first byte; every byte after it must be a continuation.
      const std::size_t length = c >= 0xF0 && c <= 0xF4 ? 4 : c >= 0xE0 ? 3 : c >= 0xC2 ? 2 : 0;
      bool whole = length != 0 && c <= 0xF4 && length <= text.size() - i;
      for (std::size_t k = 1; whole && k < length; ++k)
        whole = (static_cast<unsigned char>(text[i + k]) & 0xC0U) == 0x80U;
      out += whole ? text.substr(i, length) : std::string_view("\xEF\xBF\xBD");
      i += whole ? length : 1;
      continue;
    }
    if (c == '"' || c == '\\')
      (out += '\\') += static_cast<char>(c);
    else if (c < 0x20 || c == 0x7F)
      out += fmt::format("\\u{:04x}", c);
    else
      out += static_cast<char>(c);
    ++i;
  }
  return out += '"';
}

Result<AuditLog> AuditLog::open(const std::filesystem::path& file) {
  if (sodium_init() < 0) return fail(Code::Failed, "libsodium cannot be initialised");
  sys::Fd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640));
  if (!fd) return fail_errno(fmt::format("opening the audit log {}", file.native()));
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return fail_errno("fstat of the audit log");
  if (!S_ISREG(status.st_mode))
    return fail(Code::Invalid, "the audit log {} is not a regular file", file.native());
  TRY(const std::string tail,
      read_tail(fd.get(), static_cast<std::uint64_t>(status.st_size), 2 * kLongestRecord));
  Tail end = end_of_chain(tail);
  return AuditLog(std::move(fd), end.sequence, std::move(end.hash), end.torn);
}

bool AuditLog::write_line(std::string_view event, std::initializer_list<AuditField> fields) {
  std::string line = fmt::format("{}{},\"time\":\"{}\",\"event\":{}", kSeqKey, sequence_ + 1,
                                 timestamp(), json_string(event));
  for (const AuditField& field : fields)
    line += fmt::format(",{}:{}", json_string(field.key), json_value(field.value));
  line += fmt::format("{}{}\"}}", kPrevKey, last_hash_);
  const std::string written = (torn_ ? "\n" : "") + line + "\n";
  struct stat before{};
  if (::fstat(file_.get(), &before) != 0) return false;
  if (!sys::write_all(file_.get(), written)) {
    // Half a line must not stay: the next record would be glued to it.
    if (::ftruncate(file_.get(), before.st_size) != 0) torn_ = true;
    return false;
  }
  torn_ = false;
  ++sequence_;
  last_hash_ = hash_of(line);
  return true;
}

void AuditLog::append(std::string_view event, std::initializer_list<AuditField> fields) {
  if (missing_ != 0 && !try_recover()) {
    ++missing_;
    return;
  }
  if (torn_ &&
      !write_line("torn",
                  {{"text", std::string_view("the line before was cut short by a crash")}})) {
    ++missing_;
    return;
  }
  if (!write_line(event, fields)) ++missing_;
}

bool AuditLog::try_recover() {
  if (missing_ == 0) return true;
  if (!write_line("gap", {{"missing", missing_},
                          {"text", std::string_view("records that could not be written")}}))
    return false;
  missing_ = 0;
  return true;
}

Result<AuditVerdict> verify_audit(const std::filesystem::path& file) {
  if (sodium_init() < 0) return fail(Code::Failed, "libsodium cannot be initialised");
  TRY(const std::string text, sys::read_file(file, mib(1024)));
  AuditVerdict verdict{.records = 0, .last_hash = std::string(kFirstHash)};
  std::string_view rest = text;
  for (std::uint64_t number = 1; !rest.empty(); ++number) {
    const auto newline = rest.find('\n');
    const std::string_view line = rest.substr(0, newline);
    rest = newline == std::string_view::npos ? std::string_view() : rest.substr(newline + 1);
    const auto chained = newline == std::string_view::npos ? std::nullopt : parse_line(line);
    const bool torn = !chained && rest.find("\"event\":\"torn\"") < rest.find('\n');
    if (torn) continue; // the next record says so itself, and is chained
    if (!chained)
      return fail(Code::Malformed, "{}: line {} is not a whole record", file.native(), number);
    if (chained->previous != verdict.last_hash)
      return fail(Code::Malformed,
                  "{}: line {} (record {}) does not follow from the one before: a record was "
                  "changed, removed or put in",
                  file.native(), number, chained->sequence);
    if (chained->sequence != verdict.records + 1)
      return fail(Code::Malformed, "{}: line {} has number {}, and {} was due", file.native(),
                  number, chained->sequence, verdict.records + 1);
    verdict.records = chained->sequence;
    verdict.last_hash = hash_of(line);
  }
  return verdict;
}

} // namespace mohhos::monitor
