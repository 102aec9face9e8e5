// mohhos/ipc.h: US-004's messages, over an endpoint of this process.
//
// The endpoint is one thread's at a time (`data`). Who waits for a message waits outside the lock,
// on the endpoint's descriptor and on `nudge`: another thread that used the endpoint meanwhile may
// have taken the wake-up with it, so it rings.
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstring>

#include "api/capi.hpp"
#include "api/capi_convert.hpp"

namespace mohhos::api::capi {
namespace {

using namespace std::chrono_literals;

constexpr auto kOpenTime = 5s; // asking the manager for a channel
constexpr auto kSendTime = 1s; // waiting for room in the receiver's ring

Monotonic from_now(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}

// The endpoint, opened on first use; `data` is held.
Result<ipc::Endpoint*> endpoint_of(Connection& one) {
  if (one.endpoint) return one.endpoint.get();
  if (!one.nudge) one.nudge = sys::Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!one.nudge) return fail_errno("eventfd");
  v1::OpenEndpointRequest request;
  request.set_name(program_invocation_short_name);
  v1::OpenEndpointResponse answer;
  sys::Fd link;
  TRY(call_daemon(Method::OpenEndpoint, request, answer, -1, &link));
  if (!link) return fail(Code::Malformed, "the daemon's answer came without a descriptor");
  TRY(one.endpoint, ipc::Endpoint::open(std::move(link), {}));
  one.own_id = PluginId{answer.id()};
  return one.endpoint.get();
}

void nudge(const Connection& one) {
  if (one.waiters == 0) return;
  const std::uint64_t ring = 1;
  (void)!::write(one.nudge.get(), &ring, sizeof ring); // full: it rings already
}

// A step on the endpoint that is not a receive. A link that is gone is opened again, once.
template <class Step>
auto with_endpoint(Step step) -> decltype(step(std::declval<ipc::Endpoint&>())) {
  Connection& one = connection();
  const std::scoped_lock lock(one.data);
  for (int attempt = 0;; ++attempt) {
    TRY(ipc::Endpoint* const endpoint, endpoint_of(one));
    auto result = step(*endpoint);
    nudge(one);
    if (result || result.error().code != Code::Unreachable) return result;
    drop_endpoint(one);
    if (attempt == 1) return result;
  }
}

Result<ipc::Outgoing> outgoing_of(const plugin_message_t* message) {
  if (message == nullptr) return fail(Code::Invalid, "the message is NULL");
  if (message->data == nullptr && message->data_size != 0)
    return fail(Code::Invalid, "the message has {} bytes, but data is NULL", message->data_size);
  const auto type = static_cast<unsigned>(message->type);
  if (type >= ipc::kMessageTypeCount) return fail(Code::Invalid, "{} is no message type", type);
  const auto priority = static_cast<int>(message->priority);
  if (priority < PRIORITY_LOW || priority > PRIORITY_URGENT)
    return fail(Code::Invalid, "{} is no priority", priority);
  return ipc::Outgoing{.type = static_cast<ipc::MessageType>(type),
                       .priority = static_cast<ipc::Priority>(priority - PRIORITY_LOW)};
}

std::span<const std::byte> bytes_of(const plugin_message_t& message) {
  return {static_cast<const std::byte*>(message.data), message.data_size};
}

Result<std::uint64_t> send(ipc::Endpoint& endpoint, PluginId target, const ipc::Outgoing& about,
                           const plugin_message_t& message) {
  TRY(const ChannelId channel, endpoint.open_channel(target, from_now(kOpenTime)));
  auto id = endpoint.send(channel, about, bytes_of(message), from_now(kSendTime));
  // Told once for each restart; the message is not sent yet, and the channel goes on.
  if (!id && id.error().code == Code::PeerRestarted)
    id = endpoint.send(channel, about, bytes_of(message), from_now(kSendTime));
  return id;
}

// Throws std::bad_alloc, and then has changed nothing.
void write_message(const ipc::MessageInfo& info, PluginId sender, PluginId receiver,
                   std::span<const std::byte> payload, plugin_message_t& out) {
  void* data = payload.empty() ? nullptr : allocate<std::byte>(payload.size());
  if (data != nullptr) std::memcpy(data, payload.data(), payload.size());
  out = {.id = info.id,
         .sender = sender.value,
         .receiver = receiver.value,
         .type = static_cast<message_type_t>(info.type),
         .data_size = static_cast<std::uint32_t>(payload.size()),
         .data = data,
         .timestamp = info.timestamp_ns,
         .priority = static_cast<priority_t>(static_cast<int>(info.priority) + PRIORITY_LOW)};
}

// Copies a received message out and gives the ring its room back.
void deliver(Connection& one, plugin_message_t& out) {
  const ipc::Message& message = *one.undelivered;
  write_message(message.info, message.sender, one.own_id, message.payload, out);
  one.endpoint->release(message);
  one.undelivered.reset();
}

// What to wait for when there is no message now.
struct Wait {
  sys::Fd ready; // our own duplicate: the endpoint may go while we wait
  sys::Fd nudge;
  Monotonic until;
  bool counted = false; // among Connection::waiters
};

Result<sys::Fd> duplicate(int fd) {
  sys::Fd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy) return fail_errno("duplicating a descriptor");
  return copy;
}

// True: *out is a message. Otherwise *wait says how to wait for one.
Result<bool> receive_now(plugin_message_t& out, Monotonic deadline, Wait& wait) {
  Connection& one = connection();
  const std::scoped_lock lock(one.data);
  if (std::exchange(wait.counted, false)) --one.waiters;
  TRY(ipc::Endpoint* const endpoint, endpoint_of(one));
  do {
    if (!one.undelivered) {
      auto message = endpoint->receive(ipc::kNoWait);
      if (!message && message.error().code == Code::Unreachable) drop_endpoint(one);
      if (!message) return std::unexpected(std::move(message).error());
      one.undelivered = std::move(*message);
    }
    if (one.undelivered) {
      deliver(one, out);
      return true;
    }
  } while (!endpoint->prepare_wait());
  std::uint64_t rung = 0;
  (void)!::read(one.nudge.get(), &rung, sizeof rung);
  TRY(wait.ready, duplicate(endpoint->wait_fd()));
  TRY(wait.nudge, one.nudge.duplicate());
  wait.counted = true;
  ++one.waiters;
  wait.until = std::min(deadline, endpoint->next_deadline());
  return false;
}

void sleep_until_ready(const Wait& wait) {
  pollfd items[] = {{wait.ready.get(), POLLIN, 0}, {wait.nudge.get(), POLLIN, 0}};
  const auto left = wait.until - std::chrono::steady_clock::now();
  // Rounded up: a wait that ends too early would look again for nothing.
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
  const int timeout = static_cast<int>(std::clamp<std::int64_t>(ms, 0, 3'600'000));
  (void)!::poll(items, 2, timeout); // whatever it says: look again
}

void stop_waiting(Wait& wait) {
  Connection& one = connection();
  const std::scoped_lock lock(one.data);
  if (std::exchange(wait.counted, false)) --one.waiters;
}

} // namespace
} // namespace mohhos::api::capi

using namespace mohhos;
using namespace mohhos::api::capi;

int plugin_send_message(plugin_id_t target, plugin_message_t* message) {
  return guarded([&]() -> Result<> {
    TRY(const ipc::Outgoing about, outgoing_of(message));
    if (target == 0) return fail(Code::Invalid, "0 is no plugin's id");
    return with_endpoint([&](ipc::Endpoint& endpoint) -> Result<> {
      TRY(message->id, send(endpoint, PluginId{target}, about, *message));
      message->sender = connection().own_id.value;
      message->receiver = target;
      message->timestamp = ipc::monotonic_ns();
      return {};
    });
  });
}

int plugin_call(plugin_id_t target, const plugin_message_t* request, plugin_message_t* response,
                uint32_t timeout_ms) {
  return guarded([&]() -> Result<> {
    TRY(ipc::Outgoing about, outgoing_of(request));
    if (target == 0) return fail(Code::Invalid, "0 is no plugin's id");
    if (response == nullptr) return fail(Code::Invalid, "the response is NULL");
    if (about.type == ipc::MessageType::Init) about.type = ipc::MessageType::DataRequest;
    const Monotonic deadline = from_now(std::chrono::milliseconds(timeout_ms));
    return with_endpoint([&](ipc::Endpoint& endpoint) -> Result<> {
      TRY(const ChannelId channel, endpoint.open_channel(PluginId{target}, deadline));
      TRY(const ipc::Answer answer,
          endpoint.call_and_wait(channel, about, bytes_of(*request), deadline));
      write_message(answer.info, PluginId{target}, connection().own_id, answer.payload, *response);
      return {};
    });
  });
}

int plugin_receive_message(plugin_message_t* message, uint32_t timeout_ms) {
  return guarded([&]() -> Result<> {
    if (message == nullptr) return fail(Code::Invalid, "the message is NULL");
    const Monotonic deadline = from_now(std::chrono::milliseconds(timeout_ms));
    for (Wait wait;;) {
      TRY(const bool received, receive_now(*message, deadline, wait));
      if (received) return {};
      if (std::chrono::steady_clock::now() >= deadline) {
        stop_waiting(wait);
        return fail(Code::TimedOut, "no message within {} ms", timeout_ms);
      }
      sleep_until_ready(wait);
    }
  });
}

void plugin_message_free(plugin_message_t* message) {
  if (message == nullptr) return;
  std::free(message->data);
  message->data = nullptr;
}

int plugin_broadcast_message(plugin_message_t* message, plugin_type_t target_type) {
  return guarded([&]() -> Result<int> {
    TRY(const ipc::Outgoing about, outgoing_of(message));
    const auto type = static_cast<unsigned>(target_type);
    if (type >= model::kPluginTypes.size())
      return fail(Code::Invalid, "{} is no plugin type", type);
    return with_endpoint([&](ipc::Endpoint& endpoint) -> Result<int> {
      TRY(const ipc::Delivered delivered,
          endpoint.broadcast(model::kPluginTypes[type], about, bytes_of(*message),
                             from_now(kSendTime)));
      message->sender = connection().own_id.value;
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
    return with_endpoint([&](ipc::Endpoint& endpoint) {
      return endpoint.subscribe(PluginId{plugin_id}, {events, count});
    });
  });
}
