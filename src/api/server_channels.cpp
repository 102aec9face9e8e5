// The methods about channels.
#include "api/server_rows.hpp"
#include "api/utf8.hpp"

namespace mohhos::api {
namespace {

void write_report(const ipc::ChannelReport& report, v1::ChannelInfo& message) {
  message.set_sent(report.sent);
  message.set_acknowledged(report.acknowledged);
  message.set_bytes(report.bytes);
  message.set_depth(report.depth);
  message.set_depth_bytes(report.depth_bytes);
  message.set_high_water(report.high_water);
  message.set_dropped(report.dropped);
  message.set_refused(report.refused);
  message.set_space_waits(report.space_waits);
  message.set_redelivered(report.redelivered);
  message.set_expired(report.expired);
  message.set_sleeps(report.sleeps);
  message.set_wakeups(report.wakeups);
  message.set_bells(report.bells);
  message.set_latency_p50_ns(report.latency_p50_ns);
  message.set_latency_p99_ns(report.latency_p99_ns);
  message.set_latency_p999_ns(report.latency_p999_ns);
  message.set_doubt(std::string(report.doubt));
}

void write_channel(const manager::ChannelStatus& channel, v1::ChannelInfo& message) {
  message.set_id(channel.record.channel);
  message.set_lane(std::string(ipc::lane_name(channel.record.lane)));
  message.set_sender_id(channel.record.sender);
  message.set_sender(as_utf8(channel.sender));
  message.set_from_application(channel.from_application);
  message.set_receiver_id(channel.record.receiver);
  message.set_receiver(as_utf8(channel.receiver));
  message.set_to_application(channel.to_application);
  message.set_ring_bytes(channel.record.ring_bytes);
  write_report(channel.report, message);
  message.set_memories(channel.memories);
  message.set_asks_huge_pages(channel.asks_huge_pages);
  message.set_huge_page_bytes(channel.huge_page_bytes.value_or(0));
  message.set_huge_pages_unknown(!channel.huge_page_bytes);
}

} // namespace

Result<> list_channels(Manager& manager, Call& call, const Responder& responder) {
  TRY(const auto request, parse<v1::ListChannelsRequest>(call.payload));
  PluginId end{request.end().id()};
  if (!end) {
    TRY(end, plugin_or_all(manager, request.end()));
  }
  TRY(const auto channels, manager.channels(end));
  v1::ListChannelsResponse response;
  for (const auto& channel : channels) write_channel(channel, *response.add_channels());
  responder.answer(response.SerializeAsString());
  return {};
}

Result<> tap_channel(Manager& manager, Call& call, const Responder& responder) {
  TRY(const auto request, parse<v1::TapChannelRequest>(call.payload));
  TRY(const auto status, manager.tap(call.caller, {.recorder = {request.recorder()},
                                                   .channel = {request.channel()},
                                                   .sender = request.sender(),
                                                   .receiver = request.receiver()}));
  v1::TapChannelResponse response;
  response.set_sender(as_utf8(status.sender));
  response.set_receiver(as_utf8(status.receiver));
  for (const ChannelId channel : status.channels) response.add_channels(channel.value);
  responder.answer(response.SerializeAsString());
  return {};
}

Result<> open_replay(Manager& manager, Call& call, const Responder& responder) {
  TRY(const auto request, parse<v1::OpenReplayRequest>(call.payload));
  TRY(const PluginId receiver, plugin_of(manager, request.receiver()));
  TRY(auto opened,
      manager.open_replay(call.caller, receiver, request.recording(), request.messages()));
  v1::OpenReplayResponse response;
  response.set_id(opened.endpoint.id.value);
  response.set_overrides(opened.overrides);
  responder.answer(response.SerializeAsString(), std::move(opened.endpoint.link));
  return {};
}

} // namespace mohhos::api
