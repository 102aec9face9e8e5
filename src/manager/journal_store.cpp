#include "manager/journal_store.hpp"

#include <utility>

#include <fcntl.h>
#include <sodium/randombytes.h>
#include <unistd.h>

#include "base/bytes.hpp"
#include "base/keys.hpp"
#include "sys/file.hpp"

namespace mohhos::manager {
namespace {

constexpr std::size_t kMostRemarks = 32;
// A copy forward is worth it when there is so much more on disk than is needed.
constexpr std::uint64_t kSparse = 2;
constexpr std::uint64_t kSmallHead = std::uint64_t{64} << 10;
constexpr std::size_t kManySmallSegments = 32;

// Whose bytes count together. Programs count as one: they call themselves whatever they like.
std::string_view account_of(const LogInfo& info) {
  return info.sender_type == kNoPluginType ? std::string_view() : std::string_view(info.sender);
}

} // namespace

JournalStore::JournalStore(sys::Fd directory, std::filesystem::path path,
                           const JournalLimits& limits)
    : directory_(std::move(directory)), path_(std::move(path)), limits_(limits) {}

Result<JournalStore> JournalStore::open(const std::filesystem::path& directory,
                                        const JournalLimits& limits) {
  TRY(sys::make_directories(directory, 0700));
  sys::Fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno(directory.native());
  JournalStore store(std::move(fd), directory, limits);
  TRY(store.read_all());
  return store;
}

JournalStore JournalStore::unusable(Error why) {
  JournalStore store({}, {}, {});
  store.unusable_ = std::move(why);
  return store;
}

void JournalStore::remark(std::string text) {
  if (remarks_.size() < kMostRemarks) remarks_.push_back(std::move(text));
}

std::vector<std::string> JournalStore::take_remarks() {
  return std::exchange(remarks_, {});
}

// --- writing ---

Result<> JournalStore::open_head() {
  SegmentName name{.number = head_number_ + 1};
  ::randombytes_buf(name.key.data(), name.key.size());
  const std::string file = segment_file(name);
  sys::Fd fd(::openat(directory_.get(), file.c_str(),
                      O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return fail_errno(fmt::format("the journal in {}", path_.native()));
  head_ = std::move(fd);
  head_number_ = name.number;
  committed_ = 0;
  segments_[name.number] = Segment{.key = name.key};
  const SegmentHead head = make_segment_head(name.number, name.key);
  buffer_.clear();
  mohhos::append(buffer_, head);
  return {};
}

JournalStore::LogId JournalStore::begin(const LogInfo& info) {
  const LogId id = next_log_++;
  logs_[id] = Log{.info = info};
  by_channel_[{info.life, info.channel}] = id;
  return id;
}

// Twice, so that one damaged line does not take all the messages behind it along.
Result<> JournalStore::say_what_it_is(LogId id, Log& log) {
  if (!head_) TRY(open_head());
  if (log.opened_in == head_number_) return {};
  for (int i = 0; i < 2; ++i) put_open(buffer_, segments_.at(head_number_).key, id, log.info);
  log.opened_in = head_number_;
  return {};
}

Result<> JournalStore::has_room(const LogInfo& info, std::optional<LogId> log,
                                std::uint64_t payload) const {
  const std::uint64_t size = message_entry_size(payload);
  const std::uint64_t of_log = log ? logs_.at(*log).live : 0;
  if (of_log + size > limits_.per_log)
    return fail(Code::Exhausted,
                "{} bytes from {} to {} are on disk and not acknowledged, and the journal takes "
                "{} of one channel ([journal] max_channel_mb)",
                of_log, info.sender, info.receiver, limits_.per_log);
  if (live_ + size > limits_.in_all)
    return fail(Code::Exhausted,
                "{} bytes are on disk and not acknowledged, and the journal takes {} "
                "([journal] max_mb)",
                live_, limits_.in_all);
  const auto account = live_of_.find(account_of(info));
  const std::uint64_t own = account == live_of_.end() ? 0 : account->second;
  if (own + size > limits_.in_all / 2)
    return fail(Code::Exhausted,
                "{} bytes from {} are on disk and not acknowledged, and the journal takes half of "
                "its {} from one sender ([journal] max_mb)",
                own, account_of(info).empty() ? "programs" : info.sender, limits_.in_all);
  if (!log && logs_.size() >= limits_.logs)
    return fail(Code::Exhausted, "the journal keeps messages of {} channels, and takes no more",
                logs_.size());
  return {};
}

Result<> JournalStore::append(LogId id, const JournalMessage& message) {
  if (unusable_) return std::unexpected(*unusable_);
  if (failed_) return std::unexpected(*failed_);
  Log& log = logs_.at(id);
  if (!log.info.copy) TRY(has_room(log.info, id, message.payload.size()));
  const std::uint64_t size = message_entry_size(message.payload.size());
  if (auto said = say_what_it_is(id, log); !said) {
    failed_ = said.error();
    return said;
  }
  Segment& head = segments_.at(head_number_);
  const std::uint64_t offset = head.size + buffer_.size();
  put_message(buffer_, head.key, id, message);
  log.kept.push_back(
      {.place = message.place, .segment = head_number_, .offset = offset, .size = size});
  log.end = message.place.end;
  remember(log.kept.back(), log);
  return {};
}

Result<> JournalStore::write_out() {
  if (buffer_.empty()) return {};
  Segment& head = segments_.at(head_number_);
  std::span<const std::byte> rest = buffer_;
  std::uint64_t at = head.size;
  while (!rest.empty()) {
    const ssize_t put = ::pwrite(head_.get(), rest.data(), rest.size(), static_cast<off_t>(at));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail_errno(fmt::format("the journal in {}", path_.native()));
    rest = rest.subspan(static_cast<std::size_t>(put));
    at += static_cast<std::uint64_t>(put);
  }
  head.size = at;
  buffer_.clear();
  unsynced_ = true;
  return {};
}

Result<> JournalStore::commit() {
  put_acks();
  if (!failed_ && (!head_ || (buffer_.empty() && !unsynced_))) return {};
  const bool is_new = committed_ == 0;
  Result<> done;
  if (failed_)
    done = std::unexpected(*std::exchange(failed_, std::nullopt));
  else
    done = write_out();
  if (done && ::fdatasync(head_.get()) != 0)
    done = fail_errno(fmt::format("the journal in {}", path_.native()));
  if (done && is_new && ::fsync(directory_.get()) != 0)
    done = fail_errno(fmt::format("the journal in {}", path_.native()));
  if (done && is_new) removal_unsynced_ = false;
  if (!done) {
    give_up_uncommitted();
    return done;
  }
  unsynced_ = false;
  Segment& head = segments_.at(head_number_);
  committed_ = head.size;
  if (head.size >= limits_.segment) head_.reset();
  return {};
}

// After a failed write nobody knows what of it the disk has: this segment gets no more, and what
// was not committed does not count. (If it is there all the same, its place in the ring says that
// it is the same message.)
void JournalStore::give_up_uncommitted() {
  buffer_.clear();
  unsynced_ = false;
  if (!head_) return;
  for (auto& [id, log] : logs_) {
    while (!log.kept.empty() && log.kept.back().segment == head_number_ &&
           log.kept.back().offset >= committed_) {
      log.end = log.kept.back().place.begin;
      forget(log.kept.back(), log);
      log.kept.pop_back();
    }
    if (log.opened_in == head_number_) log.opened_in = 0;
  }
  head_.reset();
  Segment& head = segments_.at(head_number_);
  head.size = committed_;
  if (committed_ == 0) remove_segment(head_number_);
}

void JournalStore::remember(const Kept& kept, Log& log) {
  log.live += kept.size;
  live_ += kept.size;
  live_of_[std::string(account_of(log.info))] += kept.size;
  segments_.at(kept.segment).live += kept.size;
}

void JournalStore::forget(const Kept& kept, Log& log) {
  log.live -= kept.size;
  live_ -= kept.size;
  const auto account = live_of_.find(account_of(log.info));
  account->second -= kept.size;
  if (account->second == 0) live_of_.erase(account);
  segments_.at(kept.segment).live -= kept.size;
}

// --- letting go ---

void JournalStore::acknowledge(LogId id, std::uint64_t tail) {
  Log& log = logs_.at(id);
  if (tail <= log.tail) return;
  log.tail = tail;
  while (!log.kept.empty() && log.kept.front().place.end <= tail) {
    forget(log.kept.front(), log);
    log.kept.pop_front();
    log.tail_unwritten = true;
  }
}

void JournalStore::end(LogId id) {
  logs_.at(id).over = true;
}

void JournalStore::put_acks() {
  for (auto each = logs_.begin(); each != logs_.end();) {
    Log& log = each->second;
    if (log.tail_unwritten && (head_ || open_head())) {
      put_ack(buffer_, segments_.at(head_number_).key, each->first, log.tail);
      log.tail_unwritten = false;
    }
    if (log.over && log.kept.empty() && !log.tail_unwritten) {
      by_channel_.erase({log.info.life, log.info.channel});
      each = logs_.erase(each);
    } else {
      ++each;
    }
  }
}

// One after the other, for the disk too: if an older one came back after a power cut without those
// behind it, what these say of it (acknowledged, adopted) would be missing.
void JournalStore::remove_segment(std::uint64_t number) {
  const auto found = segments_.find(number);
  if (found == segments_.end()) return;
  const std::string file = segment_file({number, found->second.key});
  if (removal_unsynced_ && ::fsync(directory_.get()) != 0)
    return remark(fail_errno(path_.native()).error().text);
  removal_unsynced_ = true;
  if (::unlinkat(directory_.get(), file.c_str(), 0) != 0 && errno != ENOENT)
    return remark(fail_errno(fmt::format("{}/{}", path_.native(), file)).error().text);
  segments_.erase(found);
}

void JournalStore::tidy() {
  put_acks();
  if (head_)
    if (auto written = write_out(); !written) {
      remark(written.error().text);
      give_up_uncommitted();
    }
  // Nothing at all is left: then nothing has to be remembered either.
  if (live_ == 0 && head_ && segments_.at(head_number_).size > kSmallHead) head_.reset();
  while (!segments_.empty()) {
    const auto& [number, segment] = *segments_.begin();
    if (segment.live != 0 || (head_ && number == head_number_)) break;
    const std::size_t before = segments_.size();
    remove_segment(number);
    if (segments_.size() == before) break; // it cannot be removed now
  }
  // (Many that are full are what many messages need: to copy them would never come to an end.)
  const std::uint64_t disk = disk_bytes();
  const bool sparse = disk > kSparse * (live_ + limits_.segment);
  const bool scattered = segments_.size() > kManySmallSegments + disk / limits_.segment;
  if (sparse || scattered) static_cast<void>(move_oldest_forward());
}

// The messages of the oldest segment, once more at the end: then the segment can go.
bool JournalStore::move_oldest_forward() {
  if (segments_.size() < 2) return false;
  const std::uint64_t oldest = segments_.begin()->first;
  if (oldest == head_number_) return false;
  std::vector<Move> moves;
  for (auto& [id, log] : logs_)
    for (Kept& kept : log.kept) {
      if (kept.segment != oldest) continue;
      const auto to = copy_forward(id, log, kept);
      if (!to) return false;
      moves.push_back({&kept, *to});
    }
  const std::uint64_t head = head_number_;
  if (!commit()) return false;
  for (const Move& move : moves) {
    segments_.at(oldest).live -= move.from->size;
    segments_.at(head).live += move.to.size;
    *move.from = move.to;
  }
  remove_segment(oldest);
  return true;
}

// Nothing: it stays, and can perhaps be copied another time.
std::optional<JournalStore::Kept> JournalStore::copy_forward(LogId id, Log& log, const Kept& kept) {
  const auto read = read_message(kept);
  if (!read) {
    remark(read.error().text);
    return std::nullopt;
  }
  if (auto said = say_what_it_is(id, log); !said) {
    give_up_uncommitted();
    return std::nullopt;
  }
  const Segment& head = segments_.at(head_number_);
  const std::uint64_t offset = head.size + buffer_.size();
  const std::size_t size = put_message(buffer_, head.key, id, read->message);
  return Kept{.place = kept.place, .segment = head_number_, .offset = offset, .size = size};
}

// --- looking ---

std::optional<JournalStore::LogId> JournalStore::find(std::uint64_t life,
                                                      std::uint64_t channel) const {
  const auto found = by_channel_.find({life, channel});
  if (found == by_channel_.end()) return std::nullopt;
  return found->second;
}

std::vector<JournalStore::LogId> JournalStore::logs() const {
  return keys_of(logs_);
}

std::uint64_t JournalStore::disk_bytes() const {
  std::uint64_t bytes = buffer_.size();
  for (const auto& [number, segment] : segments_) bytes += segment.size;
  return bytes;
}

} // namespace mohhos::manager
