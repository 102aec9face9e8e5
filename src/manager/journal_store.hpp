// The journal on disk: the durable messages that their receivers have not acknowledged, as logs in
// a row of segment files (journal_format.hpp).
//
// Appending and commit() serve all channels together: one write and one fdatasync for whatever has
// come meanwhile. What is acknowledged is dropped from the index at once and from the disk when the
// oldest segment holds nothing else; a segment that a slow receiver holds up is copied forward, so
// the disk holds about twice what is unacknowledged at most, and some segments. A life of the
// manager never writes into a segment of the one before: a torn end stays where it is and is passed
// over.
//
// Not thread-safe: one thread owns it (journal.hpp). Everything here may block on the disk.
#pragma once

#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "manager/journal_format.hpp"
#include "sys/fd.hpp"

namespace mohhos::manager {

struct JournalLimits {
  std::uint64_t per_log = std::uint64_t{64} << 20; // of messages that are not acknowledged
  // Half of it for one sender, and for all programs together.
  std::uint64_t in_all = std::uint64_t{512} << 20;
  std::uint64_t logs = 65'536;
  std::uint64_t segment = std::uint64_t{8} << 20; // a file that has grown beyond it is followed
};

// What one receiver has not acknowledged of one sender, though no ring holds it any more.
struct Leftovers {
  std::string sender;
  std::uint32_t sender_type = kNoPluginType;
  std::string receiver;
  ipc::Lane lane = ipc::Lane::Normal;
  std::vector<std::uint64_t> logs{}; // in the order in which they were begun
  std::uint64_t messages = 0;
  std::uint64_t ring_bytes = 0; // of a ring that holds them all, and as large as the one before
};

class JournalStore {
public:
  using LogId = std::uint64_t;

  // Reads what is there. [any]
  [[nodiscard]] static Result<JournalStore> open(const std::filesystem::path& directory,
                                                 const JournalLimits& limits);
  // One that keeps nothing, and says why.
  [[nodiscard]] static JournalStore unusable(Error why);
  // Sentences about what was found damaged or could not be done, since the last call.
  [[nodiscard]] std::vector<std::string> take_remarks();

  // --- writing ---

  [[nodiscard]] LogId begin(const LogInfo& info);
  // Whether a message would be taken, as far as the limits go: before it is read. Exhausted.
  [[nodiscard]] Result<> has_room(const LogInfo& info, std::optional<LogId> log,
                                  std::uint64_t payload) const;
  // Exhausted: a limit of ours; nothing was changed. The others: the disk, and all since the last
  // commit() is void.
  [[nodiscard]] Result<> append(LogId log, const JournalMessage& message);
  // All that was appended is on disk, or none of it counts and the error says why. Exhausted: the
  // disk is full.
  [[nodiscard]] Result<> commit();
  [[nodiscard]] std::uint64_t uncommitted_bytes() const { return buffer_.size(); }

  // --- letting go ---

  // The receiver is done with what lies before; written down with the next commit() or tidy().
  void acknowledge(LogId log, std::uint64_t tail);
  // No ring holds the log's messages any more; it is gone with the last of them.
  void end(LogId log);
  // Writes down acknowledgements, without waiting for the disk, and makes room.
  void tidy();

  // --- looking ---

  [[nodiscard]] std::optional<LogId> find(std::uint64_t life, std::uint64_t channel) const;
  [[nodiscard]] const LogInfo& info(LogId log) const { return logs_.at(log).info; }
  // Where the last message of the log ends, acknowledged or not.
  [[nodiscard]] std::uint64_t end_of(LogId log) const { return logs_.at(log).end; }
  [[nodiscard]] bool empty(LogId log) const { return logs_.at(log).kept.empty(); }
  [[nodiscard]] std::vector<LogId> logs() const;
  [[nodiscard]] std::uint64_t live_bytes() const { return live_; }
  [[nodiscard]] std::uint64_t disk_bytes() const;

  // --- cold start ---

  // `held`: whether a ring of this log is still there. 64 at the most, those of plugins first: each
  // becomes a ring. A remark says that there are more.
  [[nodiscard]] std::vector<Leftovers> leftovers(std::string_view receiver,
                                                 const std::function<bool(const LogInfo&)>& held);
  // Moves them all into one new log, all or nothing. `place` puts a message into its new ring and
  // says where. A message that cannot be read any more is passed over, with a remark.
  [[nodiscard]] Result<LogId>
  adopt(const Leftovers& leftovers, const LogInfo& into,
        const std::function<Result<Place>(const JournalMessage&)>& place);

private:
  struct Kept {
    Place place;
    std::uint64_t segment = 0;
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
  };
  struct Log {
    LogInfo info;
    std::deque<Kept> kept{}; // by place
    std::uint64_t tail = 0;
    std::uint64_t end = 0;
    std::uint64_t live = 0;
    std::uint64_t opened_in = 0; // the last segment that says what it is
    bool over = false;
    bool tail_unwritten = false;
  };
  struct Segment {
    SegmentKey key{};
    std::uint64_t size = 0;
    std::uint64_t live = 0;
  };
  struct Reading; // of a directory
  struct KeptMessage {
    std::vector<std::byte> bytes;
    JournalMessage message; // its payload lies in them
  };
  struct Move {
    Kept* from;
    Kept to;
  };

  JournalStore(sys::Fd directory, std::filesystem::path path, const JournalLimits& limits);
  [[nodiscard]] Result<> read_all();
  void read_segment(const SegmentName& name, Reading& reading);
  void apply(const Entry& entry, std::uint64_t segment, Reading& reading);
  [[nodiscard]] Result<> open_head();
  [[nodiscard]] Result<> write_out();
  void give_up_uncommitted();
  [[nodiscard]] Result<> say_what_it_is(LogId id, Log& log);
  [[nodiscard]] Result<KeptMessage> read_message(const Kept& kept) const;
  void remember(const Kept& kept, Log& log);
  void forget(const Kept& kept, Log& log);
  void put_acks();
  void drop(LogId id);
  [[nodiscard]] Result<> copy_all(const Leftovers& leftovers, LogId id,
                                  const std::function<Result<Place>(const JournalMessage&)>& place);
  [[nodiscard]] bool move_oldest_forward();
  [[nodiscard]] std::optional<Kept> copy_forward(LogId id, Log& log, const Kept& kept);
  void remove_segment(std::uint64_t number);
  void remark(std::string text);

  sys::Fd directory_;
  std::filesystem::path path_;
  JournalLimits limits_;
  std::map<LogId, Log> logs_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, LogId> by_channel_; // life, channel
  std::map<std::uint64_t, Segment> segments_;
  sys::Fd head_; // the file that is being written; none: the next append begins one
  std::uint64_t head_number_ = 0;
  std::uint64_t committed_ = 0; // bytes of it
  std::vector<std::byte> buffer_;
  bool unsynced_ = false;         // something was written since the last fdatasync
  bool removal_unsynced_ = false; // a file was removed since the last fsync of the directory
  LogId next_log_ = 1;
  std::uint64_t live_ = 0;
  std::map<std::string, std::uint64_t, std::less<>> live_of_; // by whose it is
  std::optional<Error> failed_;   // what was appended since the last commit() is void
  std::optional<Error> unusable_; // for ever
  std::vector<std::string> remarks_;
};

} // namespace mohhos::manager
