// mohhos/ipc.h: US-004's messages, each a copy.
#include <cstring>

#include "api/capi_convert.hpp"
#include "api/capi_endpoint.hpp"

namespace mohhos::api::capi {
namespace {

Result<> send_message(plugin_id_t target, plugin_message_t* message, bool durable) {
  TRY(ipc::Outgoing about, outgoing_with_data(message));
  about.durable = durable;
  if (target == 0) return fail(Code::Invalid, "0 is no plugin's id");
  return with_endpoint([&](Connection& one, ipc::Endpoint& endpoint) -> Result<> {
    return send_copy(one, endpoint, PluginId{target}, about, *message);
  });
}

// For plugin_message_free. Throws std::bad_alloc.
void* copy_of(std::span<const std::byte> payload) {
  if (payload.empty()) return nullptr;
  void* const data = allocate<std::byte>(payload.size());
  std::memcpy(data, payload.data(), payload.size());
  return data;
}

} // namespace
} // namespace mohhos::api::capi

using namespace mohhos;
using namespace mohhos::api::capi;

int plugin_send_message(plugin_id_t target, plugin_message_t* message) {
  return guarded([&] { return send_message(target, message, false); });
}

int plugin_send_durable(plugin_id_t target, plugin_message_t* message) {
  return guarded([&] { return send_message(target, message, true); });
}

int plugin_call(plugin_id_t target, const plugin_message_t* request, plugin_message_t* response,
                uint32_t timeout_ms) {
  return guarded([&]() -> Result<> {
    TRY(ipc::Outgoing about, outgoing_with_data(request));
    if (target == 0) return fail(Code::Invalid, "0 is no plugin's id");
    if (response == nullptr) return fail(Code::Invalid, "the response is NULL");
    if (about.type == ipc::MessageType::Init) about.type = ipc::MessageType::DataRequest;
    const Monotonic deadline = from_now(std::chrono::milliseconds(timeout_ms));
    return with_endpoint([&](Connection& one, ipc::Endpoint& endpoint) -> Result<> {
      TRY(check_no_loan(one, PluginId{target}));
      TRY(const ChannelId channel, endpoint.open_channel(PluginId{target}, deadline));
      TRY(const ipc::Answer answer,
          endpoint.call_and_wait(channel, about, bytes_of(*request), deadline));
      if (answer.memory) endpoint.drop_memory(answer.memory->number); // nobody could name it
      *response = message_of(answer.info, PluginId{target}, one.own_id, copy_of(answer.payload),
                             answer.payload.size());
      return {};
    });
  });
}

int plugin_receive_message(plugin_message_t* message, uint32_t timeout_ms) {
  return guarded([&]() -> Result<> {
    if (message == nullptr) return fail(Code::Invalid, "the message is NULL");
    return receive(timeout_ms, [&](Connection& one, const ipc::Message& got) {
      *message =
          message_of(got.info, got.sender, one.own_id, copy_of(got.payload), got.payload.size());
      release(one, got);
    });
  });
}

void plugin_message_free(plugin_message_t* message) {
  if (message == nullptr) return;
  std::free(message->data);
  message->data = nullptr;
}

int plugin_broadcast_message(plugin_message_t* message, plugin_type_t target_type) {
  return guarded([&]() -> Result<int> {
    TRY(const ipc::Outgoing about, outgoing_with_data(message));
    const auto type = static_cast<unsigned>(number_of(target_type));
    if (type >= model::kPluginTypes.size())
      return fail(Code::Invalid, "{} is no plugin type", type);
    return with_endpoint([&](Connection& one, ipc::Endpoint& endpoint) -> Result<int> {
      TRY(check_no_loan(one, PluginId{}));
      TRY(const ipc::Delivered delivered,
          endpoint.broadcast(model::kPluginTypes[type], about, bytes_of(*message),
                             from_now(kSendTime)));
      endpoint.flush();
      message->sender = one.own_id.value;
      message->receiver = 0;
      message->timestamp = ipc::monotonic_ns();
      return static_cast<int>(delivered.sent);
    });
  });
}

int plugin_subscribe_events(plugin_id_t plugin_id, event_type_t* events, size_t count) {
  return guarded([&]() -> Result<> {
    if (events == nullptr || count == 0 || count > 31)
      return fail(Code::Invalid, "between 1 and 31 event types, and {} were given", count);
    return with_endpoint([&](Connection&, ipc::Endpoint& endpoint) {
      return endpoint.subscribe(PluginId{plugin_id}, {events, count},
                                std::chrono::steady_clock::now() + kSendTime);
    });
  });
}
