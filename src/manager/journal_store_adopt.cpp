// What no ring holds any more: who has how much of it, and how it moves into a new ring's log, all
// or nothing.
#include "manager/journal_store.hpp"

#include <algorithm>
#include <bit>

#include "ipc/refill.hpp"

namespace mohhos::manager {
namespace {

constexpr std::size_t kMostLeftovers = 64;

} // namespace

std::vector<Leftovers> JournalStore::leftovers(std::string_view receiver,
                                               const std::function<bool(const LogInfo&)>& held) {
  std::map<std::tuple<bool, std::string, ipc::Lane>, Leftovers> groups;
  std::map<const Leftovers*, std::uint64_t> rooms;
  for (const auto& [id, log] : logs_) {
    if (log.info.receiver != receiver || log.kept.empty() || held(log.info)) continue;
    const bool application = log.info.sender_type == kNoPluginType;
    Leftovers& group = groups[{application, log.info.sender, log.info.lane}];
    group.sender = log.info.sender;
    group.sender_type = log.info.sender_type;
    group.receiver = receiver;
    group.lane = log.info.lane;
    group.logs.push_back(id);
    group.messages += log.kept.size();
    group.ring_bytes = std::max(group.ring_bytes, log.info.ring_bytes);
    std::uint64_t& room = rooms.try_emplace(&group, ipc::kGrain).first->second;
    for (const Kept& kept : log.kept) room += ipc::Refill::extent(kept.size);
  }
  std::vector<Leftovers> all;
  for (auto& [key, group] : groups) {
    if (all.size() == kMostLeftovers) {
      remark(fmt::format("messages of {} senders to {} wait until it is loaded again: {} are the "
                         "most at a time",
                         groups.size() - all.size(), receiver, kMostLeftovers));
      break;
    }
    group.ring_bytes = std::bit_ceil(std::max(group.ring_bytes, rooms.at(&group)));
    all.push_back(std::move(group));
  }
  return all;
}

void JournalStore::drop(LogId id) {
  const auto found = logs_.find(id);
  if (found == logs_.end()) return;
  for (const Kept& kept : found->second.kept) forget(kept, found->second);
  by_channel_.erase({found->second.info.life, found->second.info.channel});
  logs_.erase(found);
}

Result<JournalStore::LogId>
JournalStore::adopt(const Leftovers& leftovers, const LogInfo& into,
                    const std::function<Result<Place>(const JournalMessage&)>& place) {
  LogInfo info = into;
  info.copy = true;
  const LogId id = begin(info);
  auto copied = copy_all(leftovers, id, place);
  if (!copied) {
    give_up_uncommitted();
    drop(id);
    return std::unexpected(std::move(copied).error());
  }
  logs_.at(id).info.copy = false;
  for (const LogId old : leftovers.logs) drop(old);
  return id;
}

Result<> JournalStore::copy_all(const Leftovers& leftovers, LogId id,
                                const std::function<Result<Place>(const JournalMessage&)>& place) {
  for (const LogId old : leftovers.logs) {
    for (const Kept& kept : logs_.at(old).kept) {
      auto read = read_message(kept);
      if (!read) {
        remark(fmt::format("a message from {} to {} is lost: {}", leftovers.sender,
                           leftovers.receiver, read.error().text));
        continue;
      }
      TRY(read->message.place, place(read->message));
      TRY(append(id, read->message));
      if (buffer_.size() > limits_.segment) TRY(commit());
    }
  }
  TRY(say_what_it_is(id, logs_.at(id)));
  put_adopt(buffer_, segments_.at(head_number_).key, id, leftovers.logs);
  return commit();
}

} // namespace mohhos::manager
