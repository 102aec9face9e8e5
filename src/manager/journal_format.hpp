// The journal's files, byte for byte: segments of entries, each entry aligned to 16 bytes.
//
//   segment   <number, 16 hex digits>.<key, 32>.seg: SegmentHead, then entries
//   entry     EntryHead, a body of `size` bytes, zeros up to the next multiple of 16
//
// Every entry carries a checksum (SipHash-2-4) and a mark that only the segment's own key gives:
// a power loss leaves half-written entries, disks flip bits, and the payloads are strangers' bytes,
// who could otherwise write entries into their messages. After damage the reader goes on at the
// next entry that proves itself. Numbers are little-endian, as everywhere in this project.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "ipc/link.hpp"
#include "ipc/message.hpp"
#include "ipc/remains.hpp"

namespace mohhos::manager {

inline constexpr std::uint64_t kSegmentMagic = 0x314C4E524A484F4D; // "MOHJRNL1"
inline constexpr std::size_t kEntryAlignment = 16;
using SegmentKey = std::array<std::byte, 16>;

struct SegmentHead {
  std::uint64_t magic = kSegmentMagic;
  std::uint64_t number = 0; // segments are read in the order of their numbers
  std::uint64_t reserved = 0;
  std::uint64_t check = 0; // of what is before it
};
static_assert(sizeof(SegmentHead) == 32 && sizeof(SegmentHead) % kEntryAlignment == 0);

// A log is what the journal holds of one channel of one life of the daemon.
enum class EntryKind : std::uint32_t {
  Open = 1,    // what the log is; again in every segment that has messages of it
  Message = 2, // a durable message, with its place in the ring
  Ack = 3,     // the receiver is done with everything before this position
  Adopt = 4,   // this log holds everything that those still had, which are over
  Drop = 5,    // the log is over
};

struct EntryHead {
  std::uint64_t check = 0; // of all that follows, without the zeros at the end
  std::uint32_t mark = 0;  // from the segment's key
  EntryKind kind{};
  std::uint64_t log = 0;
  std::uint64_t size = 0; // of the body
};
static_assert(sizeof(EntryHead) == 32);

inline constexpr std::uint32_t kNoPluginType = 0xFFFFFFFFU; // the sender is an application

struct LogInfo {
  std::uint64_t life = 0; // of the daemon: a random number
  std::uint64_t channel = 0;
  std::uint64_t ring_bytes = 0;
  std::uint32_t sender_type = kNoPluginType;
  ipc::Lane lane = ipc::Lane::Normal;
  std::string sender{};
  std::string receiver{};
  bool copy = false; // of other logs, and nothing before the Adopt that says so

  friend bool operator==(const LogInfo&, const LogInfo&) = default;
};

// A message's place in its ring.
struct Place {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  friend bool operator==(const Place&, const Place&) = default;
};

struct JournalMessage {
  Place place;
  ipc::MessageType type{};
  ipc::Priority priority{};
  std::uint32_t event = 0;
  std::uint32_t generation = 0;
  std::span<const std::byte> payload;
};

// --- writing: each appends one entry to `bytes`; returns its size there ---

[[nodiscard]] SegmentHead make_segment_head(std::uint64_t number, const SegmentKey& key);
std::size_t put_open(std::vector<std::byte>& bytes, const SegmentKey& key, std::uint64_t log,
                     const LogInfo& info);
std::size_t put_message(std::vector<std::byte>& bytes, const SegmentKey& key, std::uint64_t log,
                        const JournalMessage& message);
std::size_t put_ack(std::vector<std::byte>& bytes, const SegmentKey& key, std::uint64_t log,
                    std::uint64_t tail);
std::size_t put_adopt(std::vector<std::byte>& bytes, const SegmentKey& key, std::uint64_t log,
                      std::span<const std::uint64_t> replaced);
std::size_t put_drop(std::vector<std::byte>& bytes, const SegmentKey& key, std::uint64_t log);
// What a message of this size takes. [pure]
[[nodiscard]] std::uint64_t message_entry_size(std::uint64_t payload);

// --- file names ---

struct SegmentName {
  std::uint64_t number = 0;
  SegmentKey key{};
};
[[nodiscard]] std::string segment_file(const SegmentName& name);
// Nothing: not the name of a segment. [pure]
[[nodiscard]] std::optional<SegmentName> parse_segment_file(std::string_view file);

// --- reading: total ---

struct Entry {
  EntryKind kind{};
  std::uint64_t log = 0;
  std::span<const std::byte> body; // checked: as it was written
  std::uint64_t offset = 0;        // in the segment
  std::uint64_t size = 0;          // of the whole entry
};

struct Damage {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

// All entries of a segment, in order.
class SegmentScan {
public:
  // `bytes`: the whole file.
  SegmentScan(std::span<const std::byte> bytes, const SegmentKey& key);
  [[nodiscard]] std::optional<Entry> next();
  // What was passed over because it did not prove itself.
  [[nodiscard]] const std::vector<Damage>& damage() const { return damage_; }

private:
  std::span<const std::byte> bytes_;
  SegmentKey key_;
  std::uint64_t offset_ = 0;
  std::vector<Damage> damage_;
};

// The one entry that `bytes` begin with. [pure]
[[nodiscard]] std::optional<Entry> parse_entry(std::span<const std::byte> bytes,
                                               const SegmentKey& key);

// Bodies. Malformed names the field. [pure]
[[nodiscard]] Result<LogInfo> parse_open(std::span<const std::byte> body);
[[nodiscard]] Result<JournalMessage> parse_message(std::span<const std::byte> body);
[[nodiscard]] Result<std::uint64_t> parse_ack(std::span<const std::byte> body);
[[nodiscard]] Result<std::vector<std::uint64_t>> parse_adopt(std::span<const std::byte> body);

} // namespace mohhos::manager
