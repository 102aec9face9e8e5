// Reading what a life of the manager before us left: every segment, in their order, and then what
// of it still counts.
#include "manager/journal_store.hpp"

#include <algorithm>
#include <set>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mohhos::manager {
namespace {

Result<std::vector<std::byte>> read_file_at(int directory, const std::string& name) {
  const sys::Fd fd(::openat(directory, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return fail_errno(name);
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return fail_errno(name);
  std::vector<std::byte> bytes(static_cast<std::size_t>(status.st_size));
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::read(fd.get(), bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(name);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  bytes.resize(done);
  return bytes;
}

} // namespace

// What the segments say, before it is known what of it still counts.
struct JournalStore::Reading {
  std::map<LogId, std::map<std::uint64_t, Kept>> messages;
  std::set<LogId> over;
  std::set<LogId> copies; // that no Adopt has made good yet
  std::uint64_t nameless = 0;
};

Result<> JournalStore::read_all() {
  std::vector<SegmentName> names;
  std::error_code error;
  for (std::filesystem::directory_iterator each(path_, error), end; !error && each != end;
       each.increment(error))
    if (const auto name = parse_segment_file(each->path().filename().native()))
      names.push_back(*name);
  if (error) return fail(Code::Failed, "{}: {}", path_.native(), error.message());
  std::ranges::sort(names, {}, &SegmentName::number);
  Reading reading;
  for (const SegmentName& name : names) read_segment(name, reading);

  for (auto& [id, messages] : reading.messages) {
    const auto found = logs_.find(id);
    if (found == logs_.end() || reading.over.contains(id) || reading.copies.contains(id)) continue;
    Log& log = found->second;
    for (const auto& [begin, kept] : messages) {
      log.end = std::max(log.end, kept.place.end);
      if (kept.place.end <= log.tail) continue;
      log.kept.push_back(kept);
      remember(kept, log);
    }
  }
  std::erase_if(logs_, [&](const auto& entry) { return entry.second.kept.empty(); });
  for (const auto& [id, log] : logs_) by_channel_[{log.info.life, log.info.channel}] = id;
  if (reading.nameless != 0)
    remark(fmt::format("{} messages are lost: what they belonged to is damaged", reading.nameless));
  return {};
}

void JournalStore::read_segment(const SegmentName& name, Reading& reading) {
  const std::string file = segment_file(name);
  Segment& segment = segments_[name.number];
  segment.key = name.key;
  head_number_ = std::max(head_number_, name.number);
  const auto bytes = read_file_at(directory_.get(), file);
  if (!bytes) return remark(fmt::format("{}/{}", path_.native(), bytes.error().text));
  segment.size = bytes->size();
  SegmentScan scan(*bytes, name.key);
  while (const auto entry = scan.next()) apply(*entry, name.number, reading);
  for (const Damage& damage : scan.damage())
    remark(fmt::format("{}/{}: {} bytes at {} are damaged, and were passed over", path_.native(),
                       file, damage.bytes, damage.offset));
}

void JournalStore::apply(const Entry& entry, std::uint64_t segment, Reading& reading) {
  next_log_ = std::max(next_log_, entry.log + 1);
  switch (entry.kind) {
  case EntryKind::Open: {
    const auto info = parse_open(entry.body);
    if (!info) return remark(info.error().text);
    const auto [found, is_new] = logs_.try_emplace(entry.log, Log{.info = *info});
    if (is_new && info->copy) reading.copies.insert(entry.log);
    if (!info->copy) reading.copies.erase(entry.log);
    found->second.info.copy = false;
    return;
  }
  case EntryKind::Message: {
    const auto message = parse_message(entry.body);
    if (!message) return remark(message.error().text);
    if (!logs_.contains(entry.log)) {
      ++reading.nameless;
      return;
    }
    // A copy that was made forward lies in a later segment, and counts.
    reading.messages[entry.log].insert_or_assign(message->place.begin, Kept{.place = message->place,
                                                                            .segment = segment,
                                                                            .offset = entry.offset,
                                                                            .size = entry.size});
    return;
  }
  case EntryKind::Ack: {
    const auto tail = parse_ack(entry.body);
    const auto log = logs_.find(entry.log);
    if (tail && log != logs_.end()) log->second.tail = std::max(log->second.tail, *tail);
    return;
  }
  case EntryKind::Adopt: {
    const auto replaced = parse_adopt(entry.body);
    if (!replaced) return remark(replaced.error().text);
    reading.copies.erase(entry.log);
    reading.over.insert(replaced->begin(), replaced->end());
    return;
  }
  case EntryKind::Drop: reading.over.insert(entry.log); return;
  }
}

Result<JournalStore::KeptMessage> JournalStore::read_message(const Kept& kept) const {
  const Segment& segment = segments_.at(kept.segment);
  const std::string file = segment_file({kept.segment, segment.key});
  const sys::Fd fd(::openat(directory_.get(), file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return fail_errno(file);
  std::vector<std::byte> bytes(kept.size);
  const ssize_t got =
      ::pread(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(kept.offset));
  if (got < 0) return fail_errno(file);
  const auto entry = static_cast<std::size_t>(got) == bytes.size() ? parse_entry(bytes, segment.key)
                                                                   : std::optional<Entry>();
  if (!entry)
    return fail(Code::Malformed, "{}/{}: the message at {} cannot be read any more", path_.native(),
                file, kept.offset);
  TRY(const JournalMessage message, parse_message(entry->body));
  return KeptMessage{.bytes = std::move(bytes), .message = message};
}

} // namespace mohhos::manager
