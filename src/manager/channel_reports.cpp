// What channels have counted, read from their memories with nobody's help: a plugin that hangs, or
// lies, is seen as well as any other.
#include <spdlog/spdlog.h>

#include "manager/parts.hpp"
#include "sys/huge_pages.hpp"

namespace mohhos::manager {

void Manager::Parts::note_huge_pages(std::vector<ChannelStatus>& all) const {
  std::vector<int> rings;
  std::vector<ChannelStatus*> owners;
  for (ChannelStatus& status : all) {
    const Plugin* const sender = find(PluginId{status.record.sender});
    status.asks_huge_pages = sender != nullptr && sender->info.metadata.channels.huge_pages;
    if (status.record.ring_bytes < sys::kHugePage) continue;
    rings.push_back(channels.at(ChannelId{status.record.channel}).data.get());
    owners.push_back(&status);
  }
  const auto bytes = sys::huge_page_bytes(rings);
  if (!bytes) spdlog::warn("huge pages cannot be counted: {}", bytes.error().text);
  for (std::size_t i = 0; i < owners.size(); ++i)
    owners[i]->huge_page_bytes = bytes ? std::optional((*bytes)[i]) : std::nullopt;
}

Result<std::vector<ChannelStatus>> Manager::Parts::channel_statuses(PluginId end) const {
  if (end && find(end) == nullptr && !endpoints.contains(end))
    return std::unexpected(unknown(end, ""));
  const auto name_end = [this](std::uint64_t id, std::string& name, bool& application) {
    if (const Plugin* plugin = find(PluginId{id})) {
      name = plugin->info.metadata.name;
    } else if (const auto found = endpoints.find(PluginId{id}); found != endpoints.end()) {
      name = found->second.name;
      application = true;
    }
  };
  std::vector<ChannelStatus> all;
  for (const ipc::ChannelRecord& record : broker.channels()) {
    if (end && record.sender != end.value && record.receiver != end.value) continue;
    const auto memory = channels.find(ChannelId{record.channel});
    if (memory == channels.end()) continue;
    const auto counters =
        ipc::read_counters(memory->second.data.get(), memory->second.control.get());
    if (!counters) {
      spdlog::warn("channel {}: {}", record.channel, counters.error().text);
      continue;
    }
    ChannelStatus& status = all.emplace_back();
    status.record = record;
    status.report =
        ipc::report_of(*counters, record.ring_bytes, record.lane, record.ring_generation);
    status.memories = memories.passages(ChannelId{record.channel}).size();
    name_end(record.sender, status.sender, status.from_application);
    name_end(record.receiver, status.receiver, status.to_application);
  }
  return all;
}

} // namespace mohhos::manager
