// The file of a recording, byte for byte. docs/record-format.md is this file in words.
//
//   head     RecordingHead, the names of the channel's two ends
//   entries  EntryHead, then `size` bytes: a TapHeader and the payload, a gap, or the end
//
// Head and entries carry a CRC-32C each. The last entry says how many there were, so that a file
// that was cut, even between two entries, is known for it. Little endian, as everything of ours.
//
// What the entries say is what the receiving process said: a plugin can lie about its own messages,
// and reading is total over any bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/error.hpp"
#include "ipc/layout.hpp"
#include "ipc/tap.hpp"

namespace mohhos::ipc {

inline constexpr std::uint64_t kRecordingMagic = 0x0A434552'48484F4D; // "MOHHREC\n"
inline constexpr std::uint32_t kRecordingVersion = 1;
inline constexpr std::size_t kLongestEndName = 255;

struct RecordingHead {
  std::uint64_t magic = kRecordingMagic;
  std::uint32_t version = kRecordingVersion;
  std::uint32_t check = 0;       // CRC-32C of all behind this word, names included
  std::uint64_t begun_us = 0;    // since 1970
  std::uint64_t begun_ns = 0;    // CLOCK_MONOTONIC, as are all times below
  std::uint32_t sender_size = 0; // of the name
  std::uint32_t receiver_size = 0;
};
static_assert(sizeof(RecordingHead) == 40);

enum class EntryKind : std::uint32_t { Message = 1, Gap = 2, End = 3 };

struct EntryHead {
  std::uint32_t check = 0; // CRC-32C of all behind this word
  EntryKind kind{};
  std::uint64_t size = 0; // of what follows
};
static_assert(sizeof(EntryHead) == 16);

struct RecordedGap {
  std::uint64_t channel = 0; // 0: of any that were recorded
  std::uint64_t missed = 0;  // messages that the recorder had no room for
};
struct RecordedEnd {
  std::uint64_t messages = 0;
  std::uint64_t missed = 0;
};
inline constexpr std::uint64_t kLargestEntry = sizeof(TapHeader) + kMaxRing;

// --- writing: each appends to `bytes` ---

struct Recording {
  std::string sender;
  std::string receiver;
  std::uint64_t begun_us = 0;
  std::uint64_t begun_ns = 0;
  friend bool operator==(const Recording&, const Recording&) = default;
};
void put_recording_head(std::vector<std::byte>& bytes, const Recording& recording);
// `header.missed` is written as 0: gaps have entries of their own.
void put_recorded_message(std::vector<std::byte>& bytes, TapHeader header,
                          std::span<const std::byte> payload);
void put_recorded_gap(std::vector<std::byte>& bytes, const RecordedGap& gap);
void put_recorded_end(std::vector<std::byte>& bytes, const RecordedEnd& end);

// Whether a message of this header could be: type, priority, lane and flags that exist. Malformed
// names the field. [pure]
[[nodiscard]] Result<> check_tap_header(const TapHeader& header);

// --- reading ---

struct RecordedMessage {
  TapHeader header;
  std::vector<std::byte> payload;
};
using RecordedEntry = std::variant<RecordedMessage, RecordedGap>;

class RecordingReader {
public:
  // Fills as much of the span as there is; 0: the end of the file.
  using ReadBytes = std::function<Result<std::size_t>(std::span<std::byte>)>;

  // Reads the head. Malformed: no recording, one of another version, or a damaged one.
  [[nodiscard]] static Result<RecordingReader> open(ReadBytes read);
  [[nodiscard]] const Recording& recording() const { return recording_; }

  // The next entry; nothing at the end, if all is there that should be. Malformed names the number
  // and the place of the entry that is cut or damaged; there is nothing behind it.
  [[nodiscard]] Result<std::optional<RecordedEntry>> next();

private:
  explicit RecordingReader(ReadBytes read) : read_(std::move(read)) {}
  [[nodiscard]] Result<std::size_t> fill(std::span<std::byte> bytes);
  [[nodiscard]] Result<> read_head();
  [[nodiscard]] Result<std::vector<std::byte>> read_body(std::uint64_t size);
  [[nodiscard]] Result<std::optional<RecordedEntry>> take(EntryKind kind,
                                                          std::vector<std::byte> body);
  [[nodiscard]] Result<> check_end(const std::vector<std::byte>& body);
  template <class... Args>
  [[nodiscard]] std::unexpected<Error> damaged(fmt::format_string<Args...> what,
                                               Args&&... args) const {
    return fail(Code::Malformed, "record {} at byte {} {}", number_, begin_,
                fmt::format(what, std::forward<Args>(args)...));
  }

  ReadBytes read_;
  Recording recording_;
  std::uint64_t offset_ = 0; // behind what was read
  std::uint64_t begin_ = 0;  // of the present entry
  std::uint64_t number_ = 0; // of the present entry, from 1 on
  RecordedEnd seen_;
  bool ended_ = false;
};

} // namespace mohhos::ipc
