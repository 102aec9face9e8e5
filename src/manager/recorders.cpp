// Copies of what comes on a channel, for a recorder, and the endpoint that sends a recording again.
//
// The receiving process makes the copies (ipc/tap.hpp), the broker says where they go; here it is
// remembered who wants them, so that a channel that opens later, or a receiver that begins again,
// is recorded from its first message on: the receiver hears of the recorder before it has the
// channel.
#include <algorithm>

#include <spdlog/spdlog.h>

#include "manager/parts.hpp"

namespace mohhos::manager {
namespace {

constexpr std::string_view kApplication = "application";
constexpr std::size_t kLongestRecordingName = 256;
constexpr std::ptrdiff_t kMostWishes = 64; // of one recorder

} // namespace

bool Manager::Parts::is_end(PluginId id, std::string_view name) const {
  if (name == kApplication) return endpoints.contains(id);
  const Plugin* plugin = find(id);
  return plugin != nullptr && plugin->info.metadata.name == name;
}

bool Manager::Parts::is_wished(const ipc::ChannelRecord& channel, const TapWish& wish) const {
  if (channel.lane == ipc::Lane::Tap) return false;
  if (wish.channel) return wish.channel == ChannelId{channel.channel};
  return is_end(PluginId{channel.sender}, wish.sender) &&
         is_end(PluginId{channel.receiver}, wish.receiver);
}

Result<> Manager::Parts::check_end(std::string_view name) const {
  if (name == kApplication || registry.find(name) != nullptr) return {};
  return std::unexpected(unknown({}, name));
}

Result<TapStatus> Manager::Parts::tap(const Caller& caller, const TapRequest& request) {
  const auto recorder = endpoints.find(request.recorder);
  if (recorder == endpoints.end() || recorder->second.uid != caller.uid)
    return fail(Code::NotFound, "you have no endpoint {}", request.recorder.value);
  const auto is_its = [&](const TapWish& each) { return each.recorder == request.recorder; };
  if (std::ranges::count_if(tap_wishes, is_its) >= kMostWishes)
    return fail(Code::Exhausted, "endpoint {} records {} things already: use another one",
                request.recorder.value, kMostWishes);
  TapWish wish{.recorder = request.recorder,
               .channel = request.channel,
               .sender = request.sender,
               .receiver = request.receiver};
  TapStatus status;
  TRY(const auto open, channel_statuses({}));
  for (const ChannelStatus& channel : open) {
    if (!is_wished(channel.record, wish)) continue;
    status.channels.emplace_back(channel.record.channel);
    if (!wish.channel) continue;
    status.sender = channel.from_application ? kApplication : channel.sender;
    status.receiver = channel.to_application ? kApplication : channel.receiver;
  }
  if (wish.channel && status.channels.empty())
    return fail(Code::NotFound, "there is no channel {} (plugctl channels lists them)",
                wish.channel.value);
  if (!wish.channel) {
    TRY(check_end(wish.sender));
    TRY(check_end(wish.receiver));
    status.sender = wish.sender;
    status.receiver = wish.receiver;
  }
  audit.append("tap", {{"endpoint", request.recorder.value},
                       {"uid", std::uint64_t{caller.uid}},
                       {"pid", std::int64_t{caller.pid}},
                       {"channel", request.channel.value},
                       {"sender", std::string_view(status.sender)},
                       {"receiver", std::string_view(status.receiver)}});
  for (const ChannelId channel : status.channels) {
    auto plan = broker.tap(channel, request.recorder);
    if (!plan && plan.error().code == Code::NotRunning) continue; // it is when it runs
    if (!plan) return std::unexpected(plan.error());
    execute(*plan);
  }
  tap_wishes.push_back(std::move(wish));
  save_manager();
  return status;
}

// Before this is delivered.
void Manager::Parts::tap_as_wished(const ipc::Delivery& delivery) {
  if (tap_wishes.empty()) return;
  const auto* const opened = std::get_if<ipc::ChannelOpened>(&delivery.record);
  if (opened == nullptr || opened->role != ipc::Role::Receive) return;
  const auto channel = broker.find({opened->channel_id});
  if (!channel) return;
  const auto wish = std::ranges::find_if(
      tap_wishes, [&](const TapWish& each) { return is_wished(*channel, each); });
  if (wish == tap_wishes.end()) return;
  auto plan = broker.tap({channel->channel}, wish->recorder);
  if (plan)
    execute(*plan);
  else if (plan.error().code != Code::Exists)
    spdlog::warn("channel {} cannot be recorded: {}", channel->channel, plan.error().text);
}

Result<OpenedReplay> Manager::Parts::open_replay(const Caller& caller, PluginId receiver,
                                                 std::string_view recording,
                                                 std::uint64_t messages) {
  const Plugin* const plugin = find(receiver);
  if (plugin == nullptr) return std::unexpected(unknown(receiver, ""));
  const ipc::Party anybody = party_of(Endpoint{});
  const bool overrides = !ipc::may_send(anybody, party_of(*plugin)).has_value();
  TRY(OpenedEndpoint endpoint, open_endpoint(caller, "replay", plugin->info.metadata.name));
  const std::string file = monitor::escape_controls(recording.substr(0, kLongestRecordingName));
  audit.append("replay", {{"endpoint", endpoint.id.value},
                          {"uid", std::uint64_t{caller.uid}},
                          {"pid", std::int64_t{caller.pid}},
                          {"receiver", std::string_view(plugin->info.metadata.name)},
                          {"recording", std::string_view(file)},
                          {"messages", messages},
                          {"overrides_receive_from", overrides}});
  return OpenedReplay{std::move(endpoint), overrides};
}

} // namespace mohhos::manager
