// The endpoint that the C API's messaging functions share: opened on first use, one thread's at a
// time, waited on outside the lock.
#pragma once

#include <functional>

#include "api/capi.hpp"

namespace mohhos::api::capi {

inline constexpr auto kOpenTime = std::chrono::seconds(5); // asking the manager for a channel
inline constexpr auto kSendTime = std::chrono::seconds(1); // waiting for room in a ring

[[nodiscard]] inline Monotonic from_now(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}

// The endpoint, opened on first use; `data` is held.
[[nodiscard]] Result<ipc::Endpoint*> endpoint_of(Connection& one);
// Wakes who waits for messages or answers, after a step that may have taken the wake-up with it.
void nudge(const Connection& one);
// The same after a receive, which leaves rings that do not ring: they do again, or there is
// something in them and who waits is woken. `data` is held.
void hand_over(Connection& one);

// A step on the endpoint that is not a receive, as step(Connection&, Endpoint&). A link that is
// gone is opened again, once. [any]
template <class Step>
auto with_endpoint(Step step)
    -> decltype(step(std::declval<Connection&>(), std::declval<ipc::Endpoint&>())) {
  Connection& one = connection();
  const std::scoped_lock lock(one.data);
  for (int attempt = 0;; ++attempt) {
    TRY(ipc::Endpoint* const endpoint, endpoint_of(one));
    auto result = step(one, *endpoint);
    nudge(one);
    if (result || result.error().code != Code::Unreachable) return result;
    drop_endpoint(one);
    if (attempt == 1) return result;
  }
}

// What to wait for when there is nothing now.
struct Wait {
  sys::Fd ready; // our own duplicate: the endpoint may go while we wait
  sys::Fd nudge; // rung by who used the endpoint
  Monotonic until;
  std::weak_ptr<ipc::Endpoint> endpoint; // for messages
  bool counted = false;                  // among Connection::receivers
};
void sleep_until_ready(const Wait& wait);

// Waits for the next message and gives it to `take`, which keeps it or releases it; should that
// throw, the message stays and is the next again. [any]
[[nodiscard]] Result<> receive(std::uint32_t timeout_ms,
                               const std::function<void(Connection&, const ipc::Message&)>& take);

// The ring's room comes back in the order of the messages: gives back what no view stands before.
// `data` is held. [any]
void release(Connection& one, const ipc::Message& message);
void settle_views(Connection& one);
// The view that plugin_receive_view gave as this message. NotFound: there is none, or it is
// released. `data` is held.
[[nodiscard]] Result<View*> view_of(Connection& one, const plugin_message_t& message);

// --- ends that are waited for outside the lock ---

// The end of a request or a sync, from the step that hears of it; `data` is held.
void keep_end(std::uint64_t id, const std::function<Result<ipc::Answer>()>& end);
// Waits for it, as plugin_wait_memory does; `response` NULL: a sync's. [any]
[[nodiscard]] Result<int> wait_for_end(std::uint64_t id, plugin_message_t* response,
                                       plugin_memory_t* memory, Monotonic deadline);

// --- memories ---

// From now on the program's, under a number of its own; `data` is held.
[[nodiscard]] plugin_memory_t keep_memory(Connection& one, HeldMemory memory);
// The endpoint's number of one that can go with a message. NotFound: it is none of the program's,
// came with a message, or was made on another connection. `data` is held.
[[nodiscard]] Result<std::uint64_t> number_to_send(Connection& one, const plugin_memory_t* memory);

// --- messages of the C API ---

// Invalid: an unknown type or priority. [pure]
[[nodiscard]] Result<ipc::Outgoing> outgoing_of(const plugin_message_t* message);
// Also: data is NULL, but data_size is not 0. [pure]
[[nodiscard]] Result<ipc::Outgoing> outgoing_with_data(const plugin_message_t* message);
[[nodiscard]] inline std::span<const std::byte> bytes_of(const plugin_message_t& message) {
  return {static_cast<const std::byte*>(message.data), message.data_size};
}
// Everything of a received message, with these bytes. [pure]
[[nodiscard]] plugin_message_t message_of(const ipc::MessageInfo& info, PluginId sender,
                                          PluginId receiver, void* data, std::size_t size);
// Sends a copy, and fills in what plugin_send_message does. A step of with_endpoint.
[[nodiscard]] Result<> send_copy(Connection& one, ipc::Endpoint& endpoint, PluginId target,
                                 const ipc::Outgoing& about, plugin_message_t& message);
// BadState: a loan to this target (PluginId{}: to anybody) is open, and a send would take it back.
[[nodiscard]] Result<> check_no_loan(const Connection& one, PluginId target);

} // namespace mohhos::api::capi
