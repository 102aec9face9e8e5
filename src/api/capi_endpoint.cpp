#include "api/capi_endpoint.hpp"

#include <algorithm>
#include <cerrno>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sys/duplicate.hpp"

namespace mohhos::api::capi {
namespace {

// True: a message was taken. Otherwise *wait says how to wait for one.
Result<bool> receive_now(const std::function<void(Connection&, const ipc::Message&)>& take,
                         Monotonic deadline, Wait& wait) {
  Connection& one = connection();
  const std::scoped_lock lock(one.data);
  if (std::exchange(wait.counted, false)) {
    --one.receivers;
    if (!one.endpoint || wait.endpoint.lock() != one.endpoint)
      return fail(Code::Unreachable, "the connection to the daemon was closed");
  }
  TRY(ipc::Endpoint* const endpoint, endpoint_of(one));
  do {
    if (!one.undelivered) {
      auto message = endpoint->receive(ipc::kNoWait);
      if (!message && message.error().code == Code::Unreachable) drop_endpoint(one);
      if (!message) return std::unexpected(std::move(message).error());
      one.undelivered = *message;
    }
    if (one.undelivered) {
      take(one, *one.undelivered);
      one.undelivered.reset();
      hand_over(one);
      return true;
    }
  } while (!endpoint->prepare_wait());
  std::uint64_t rung = 0;
  // It does not block. NOLINTNEXTLINE(clang-analyzer-unix.BlockInCriticalSection)
  (void)!::read(one.nudge.get(), &rung, sizeof rung);
  TRY(wait.ready, sys::duplicate(endpoint->wait_fd()));
  TRY(wait.nudge, one.nudge.duplicate());
  wait.endpoint = one.endpoint;
  wait.counted = true;
  ++one.receivers;
  wait.until = std::min(deadline, endpoint->next_deadline());
  return false;
}

void stop_waiting(Wait& wait) {
  Connection& one = connection();
  const std::scoped_lock lock(one.data);
  if (std::exchange(wait.counted, false)) --one.receivers;
}

} // namespace

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

void sleep_until_ready(const Wait& wait) {
  pollfd items[] = {{wait.ready.get(), POLLIN, 0}, {wait.nudge.get(), POLLIN, 0}};
  const auto left = wait.until - std::chrono::steady_clock::now();
  // Rounded up: a wait that ends too early would look again for nothing.
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
  const int timeout = static_cast<int>(std::clamp<std::int64_t>(ms, 0, 3'600'000));
  (void)!::poll(items, 2, timeout); // whatever it says: look again
}

void nudge_receivers(const Connection& one) {
  if (one.receivers == 0 || !one.nudge) return;
  const std::uint64_t once = 1;
  (void)!::write(one.nudge.get(), &once, sizeof once); // full: it rings already
}

void nudge(const Connection& one) {
  nudge_receivers(one);
  if (one.askers == 0) return;
  for (const auto& [id, asked] : one.asked) ring(asked);
}

void hand_over(Connection& one) {
  if (one.receivers == 0 && one.askers == 0) return;
  if (!one.endpoint->prepare_wait()) nudge(one);
}

Result<> receive(std::uint32_t timeout_ms,
                 const std::function<void(Connection&, const ipc::Message&)>& take) {
  const Monotonic deadline = from_now(std::chrono::milliseconds(timeout_ms));
  for (Wait wait;;) {
    TRY(const bool received, receive_now(take, deadline, wait));
    if (received) return {};
    if (std::chrono::steady_clock::now() >= deadline) {
      stop_waiting(wait);
      return fail(Code::TimedOut, "no message within {} ms", timeout_ms);
    }
    sleep_until_ready(wait);
  }
}

void release(Connection& one, const ipc::Message& message) {
  if (one.views.empty()) return one.endpoint->release(message);
  one.views.push_back({one.endpoint, message, true});
  settle_views(one);
}

void settle_views(Connection& one) {
  for (auto view = one.views.begin(); view != one.views.end();) {
    const bool stays =
        !view->released || std::any_of(one.views.begin(), view, [&](const View& before) {
          return before.endpoint == view->endpoint &&
                 before.message.channel == view->message.channel;
        });
    if (stays) {
      ++view;
      continue;
    }
    view->endpoint->release(view->message);
    view = one.views.erase(view);
  }
}

Result<ipc::Outgoing> outgoing_of(const plugin_message_t* message) {
  if (message == nullptr) return fail(Code::Invalid, "the message is NULL");
  const auto type = static_cast<unsigned>(number_of(message->type));
  if (type >= ipc::kMessageTypeCount) return fail(Code::Invalid, "{} is no message type", type);
  const int priority = number_of(message->priority);
  if (priority < PRIORITY_LOW || priority > PRIORITY_URGENT)
    return fail(Code::Invalid, "{} is no priority", priority);
  return ipc::Outgoing{.type = static_cast<ipc::MessageType>(type),
                       .priority = static_cast<ipc::Priority>(priority - PRIORITY_LOW)};
}

Result<ipc::Outgoing> outgoing_with_data(const plugin_message_t* message) {
  if (message != nullptr && message->data == nullptr && message->data_size != 0)
    return fail(Code::Invalid, "the message has {} bytes, but data is NULL", message->data_size);
  return outgoing_of(message);
}

plugin_message_t message_of(const ipc::MessageInfo& info, PluginId sender, PluginId receiver,
                            void* data, std::size_t size) {
  return {.id = info.id,
          .sender = sender.value,
          .receiver = receiver.value,
          .type = static_cast<message_type_t>(info.type),
          .data_size = static_cast<std::uint32_t>(size),
          .data = data,
          .timestamp = info.timestamp_ns,
          .priority = static_cast<priority_t>(static_cast<int>(info.priority) + PRIORITY_LOW),
          .flags = 0};
}

Result<> send_copy(Connection& one, ipc::Endpoint& endpoint, PluginId target,
                   const ipc::Outgoing& about, plugin_message_t& message) {
  TRY(check_no_loan(one, target));
  TRY(const ChannelId channel, endpoint.open_channel(target, ipc::Deadline::within(kOpenTime)));
  auto id = endpoint.send(channel, about, bytes_of(message), ipc::Deadline::within(kSendTime));
  // Told once for each restart; the message is not sent yet, and the channel goes on.
  if (!id && id.error().code == Code::PeerRestarted)
    id = endpoint.send(channel, about, bytes_of(message), ipc::Deadline::within(kSendTime));
  if (!id) return std::unexpected(std::move(id).error());
  endpoint.flush();
  if (about.durable) ++one.durable[target].unsynced;
  message.id = *id;
  message.sender = one.own_id.value;
  message.receiver = target.value;
  message.timestamp = ipc::monotonic_ns();
  return {};
}

Result<> check_no_loan(const Connection& one, PluginId target) {
  if (one.loans.empty() || (target && !one.loans.contains(target))) return {};
  return fail(Code::BadState,
              "a loan to plugin {} is open: plugin_commit_message or plugin_discard_message first",
              target ? target.value : one.loans.begin()->first.value);
}

} // namespace mohhos::api::capi
