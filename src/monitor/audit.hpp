// The audit log: one JSON object per line, each with the BLAKE2b hash of the line before it, so
// that no line can be changed, removed or put in without every later one showing it. (A log cut at
// its tail and resumed looks whole: signed checkpoints and an anchor with the warden are for a
// later version.)
//
// When the disk is full the log has a gap: nothing is blocked, the missing records are counted, and
// the first record that can be written again says how many. While the gap is open, full() is true
// and the manager refuses new loads.
#pragma once

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/error.hpp"
#include "sys/fd.hpp"

namespace mohhos::monitor {

using AuditValue = std::variant<std::string_view, std::uint64_t, std::int64_t, bool>;
struct AuditField {
  std::string_view key;
  AuditValue value;
};

class AuditLog {
public:
  // Opens or creates the file and finds the end of its chain; a last line that was torn by a crash
  // is kept, closed with a newline, and named in the next record. [loop]
  [[nodiscard]] static Result<AuditLog> open(const std::filesystem::path& file);

  // {"seq":…,"time":…,"event":"load", fields…,"prev":"<hash>"}; never fails outwards, see full().
  // [loop]
  void append(std::string_view event, std::initializer_list<AuditField> fields);

  [[nodiscard]] bool full() const { return missing_ != 0; }
  // Tries to write what the gap is; true when the log is whole again. [loop]
  bool try_recover();
  [[nodiscard]] std::uint64_t sequence() const { return sequence_; }

private:
  AuditLog(sys::Fd file, std::uint64_t sequence, std::string last_hash, bool torn)
      : file_(std::move(file)), sequence_(sequence), last_hash_(std::move(last_hash)), torn_(torn) {
  }
  bool write_line(std::string_view event, std::initializer_list<AuditField> fields);

  sys::Fd file_;
  std::uint64_t sequence_ = 0;
  std::string last_hash_;
  std::uint64_t missing_ = 0; // records that could not be written
  bool torn_ = false;
};

struct AuditVerdict {
  std::uint64_t records = 0;
  std::string last_hash;
};
// Walks the chain; Malformed names the first line that does not follow from the one before. [any]
[[nodiscard]] Result<AuditVerdict> verify_audit(const std::filesystem::path& file);

// A JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. [pure]
[[nodiscard]] std::string json_string(std::string_view text);

} // namespace mohhos::monitor
