// What a plugin that died had in hand, and what nobody will read any more, goes to the dead
// letters: messages are read out of their rings by pread (ipc/remains.hpp), on disk first, and only
// then skipped, so that a manager that dies in between buries the same message into the same
// letter.
#include <algorithm>

#include <spdlog/spdlog.h>

#include "manager/parts.hpp"

namespace mohhos::manager {
namespace {

// Messages that are looked at when a plugin ends for good: a ring of 4 MiB of empty ones. The loop
// waits meanwhile.
constexpr std::uint64_t kMostLooks = 262'144;
constexpr std::string_view kNoRoom =
    "the dead-letter store has no more room for it ([deadletters] in mohhosd.toml)";

// An answer to a process that is gone, or the taking back of a request: nothing to anybody else.
bool is_worth_keeping(const ipc::PublishWord& word) {
  return word.type != static_cast<std::uint8_t>(ipc::MessageType::DataResponse) &&
         (word.flags & ipc::kCancels) == 0;
}

// What is overwritten while it is read is not kept: who publishes so has said that it may be
// missed.
bool is_lossy(ipc::Lane lane) {
  return lane == ipc::Lane::Lossy || lane == ipc::Lane::Tap;
}

} // namespace

std::optional<ipc::Remains> Manager::Parts::remains_of(const ipc::ChannelRecord& channel) const {
  const auto memory = channels.find({channel.channel});
  if (memory == channels.end()) return std::nullopt;
  return ipc::Remains(memory->second.data.get(), memory->second.control.get(), channel.ring_bytes);
}

std::string Manager::Parts::name_of(PluginId id) const {
  if (const Plugin* plugin = find(id)) return plugin->info.metadata.name;
  const auto endpoint = endpoints.find(id);
  return endpoint == endpoints.end() ? fmt::to_string(id.value) : endpoint->second.name;
}

DeadLetter Manager::Parts::letter_of(const Plugin& to, const ipc::ChannelRecord& channel,
                                     std::uint64_t position, ipc::Remnant message) const {
  DeadLetter letter;
  letter.head.to = to.info.metadata.name;
  letter.head.from = name_of({channel.sender});
  letter.head.to_id = to.info.id;
  letter.head.from_id = {channel.sender};
  letter.head.to_generation = to.info.generation;
  letter.head.buried_us = wall_clock_us();
  letter.head.epoch = started_us;
  letter.head.channel = {channel.channel};
  letter.head.position = position;
  letter.head.info = message.info;
  letter.payload = std::move(message.payload);
  return letter;
}

// Before it is begun again: what did it die of?
void Manager::Parts::examine_rings(Plugin& plugin) {
  std::vector<ipc::Suspect> suspects;
  for (const ipc::ChannelRecord& channel : broker.channels()) {
    if (channel.receiver != plugin.info.id.value || is_lossy(channel.lane)) continue;
    const auto remains = remains_of(channel);
    if (!remains) continue;
    const auto progress = remains->progress();
    if (!progress) {
      spdlog::warn("channel {} as {} left it: {}", channel.channel, plugin.info.metadata.name,
                   progress.error().text);
      continue; // its successor ends it
    }
    const auto suspect = ipc::suspect_after(*progress, {channel.channel}, plugin.suspects);
    if (!suspect) continue;
    if (suspect->deaths < plugin.info.metadata.restart.dead_letter_after ||
        !bury(plugin, channel, *remains, *suspect))
      suspects.push_back(*suspect);
  }
  plugin.suspects = std::move(suspects);
}

// False: it stays where it is.
bool Manager::Parts::bury(const Plugin& plugin, const ipc::ChannelRecord& channel,
                          const ipc::Remains& remains, const ipc::Suspect& suspect) {
  const std::string& name = plugin.info.metadata.name;
  const auto word = remains.word_at(suspect.position);
  Result<std::optional<ipc::Remnant>> message = std::nullopt;
  if (word && *word) { // looked at before it is read: it may be as large as the ring
    LetterRoom room = letters.room_for(name);
    if (!letters.knows(started_us, {channel.channel}, suspect.position) &&
        !room.take((*word)->size)) {
      note_letters_refused(plugin, 1, kNoRoom);
      return false;
    }
    message = remains.at(suspect.position, (*word)->size);
  }
  if (!word || !message || !*message) {
    spdlog::warn("{} died of what is no message (channel {})", name, channel.channel);
    return false; // its successor finds the same, and ends the channel
  }
  const std::uint64_t behind = (*message)->end;
  DeadLetter letter = letter_of(plugin, channel, suspect.position, *std::move(*message));
  letter.head.deaths = suspect.deaths;
  letter.head.reason = fmt::format("{} processes died while they had it", suspect.deaths);
  auto put = letters.put(std::span(&letter, 1));
  if (put && *put == 1) {
    if (auto skipped = remains.bury_before(behind); !skipped)
      put = std::unexpected(skipped.error());
  }
  if (!put || *put == 0) {
    note_letters_refused(plugin, 1, put ? kNoRoom : std::string_view(put.error().text));
    return false;
  }
  spdlog::warn("{} died {} times of a message of {}: it is dead letter {} now", name,
               suspect.deaths, letter.head.from, letter.head.id);
  audit.append("dead-letter", {{"plugin", std::string_view(name)},
                               {"id", plugin.info.id.value},
                               {"letter", letter.head.id},
                               {"from", std::string_view(letter.head.from)},
                               {"channel", channel.channel},
                               {"deaths", std::uint64_t{suspect.deaths}}});
  return true;
}

void Manager::Parts::note_letters_refused(const Plugin& plugin, std::uint64_t count,
                                          std::string_view why) {
  const std::string& name = plugin.info.metadata.name;
  spdlog::error("{}: {} messages cannot be buried: {}", name, count, why);
  audit.append("dead-letters-refused", {{"plugin", std::string_view(name)},
                                        {"id", plugin.info.id.value},
                                        {"count", count},
                                        {"text", why}});
}

// It ends for good, and its rings with it. What is read is no more than what finds room; the rest
// is counted, as far as the loop can wait for that.
void Manager::Parts::bury_unread(const Plugin& plugin, std::string_view reason) {
  const std::string& name = plugin.info.metadata.name;
  std::vector<DeadLetter> unread;
  LetterRoom room = letters.room_for(name);
  std::uint64_t looks = 0;
  std::uint64_t lost = 0;
  for (const ipc::ChannelRecord& channel : broker.channels()) {
    if (channel.receiver != plugin.info.id.value || is_lossy(channel.lane)) continue;
    const auto remains = remains_of(channel);
    const auto progress = remains ? remains->progress() : std::unexpected(Error{});
    if (!progress) continue;
    const ChannelId id{channel.channel};
    for (std::uint64_t at = progress->tail;
         looks < kMostLooks && at - progress->tail < channel.ring_bytes; ++looks) {
      const auto word = remains->word_at(at);
      if (!word || !*word) break;
      const std::uint64_t position = at;
      at = (*word)->end(position);
      if (!is_worth_keeping(**word)) continue;
      // The journal has it, for the next that is loaded under this name.
      const bool durable = ((*word)->flags & ipc::kDurable) != 0;
      if (durable && journal && journal->has(id, position)) continue;
      if (!letters.knows(started_us, id, position) && !room.take((*word)->size)) {
        ++lost;
        continue;
      }
      auto message = remains->at(position, (*word)->size);
      if (!message || !*message) break;
      unread.push_back(letter_of(plugin, channel, position, *std::move(*message)));
      unread.back().head.reason = reason;
    }
  }
  if (unread.empty() && lost == 0) return;
  const auto put = letters.put(unread);
  const std::uint64_t kept = put.value_or(0);
  lost += unread.size() - kept;
  spdlog::warn("{}: {} unread messages are dead letters now", name, kept);
  audit.append("unread-buried", {{"plugin", std::string_view(name)},
                                 {"id", plugin.info.id.value},
                                 {"count", kept},
                                 {"reason", reason}});
  if (lost == 0) return;
  std::string why = put ? std::string(kNoRoom) : put.error().text;
  if (looks == kMostLooks) why += "; nobody has counted all of them";
  note_letters_refused(plugin, lost, why);
}

Result<LetterRetry> Manager::Parts::retry_letter(const Caller& caller, std::uint64_t id) {
  TRY(const DeadLetter letter, letters.read(id));
  if (registry.find(letter.head.to) == nullptr) return std::unexpected(unknown({}, letter.head.to));
  TRY(auto endpoint, open_endpoint(caller, letter.head.from, letter.head.to));
  return LetterRetry{letter.head, std::move(endpoint)};
}

void Manager::Parts::audit_letter(std::string_view event, const Caller& caller, std::uint64_t id,
                                  bool accepted) {
  audit.append(event, {{"letter", id},
                       {"uid", std::uint64_t{caller.uid}},
                       {"pid", std::int64_t{caller.pid}},
                       {"accepted", accepted}});
}

} // namespace mohhos::manager
