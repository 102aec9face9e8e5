// mohhos/ipc.h without copies: loans of a ring to write into, and messages looked at where they
// lie. What is lent keeps its endpoint, and so the ring's memory, until it is given back.
#include <algorithm>

#include "api/capi_endpoint.hpp"

namespace mohhos::api::capi {
namespace {

constexpr std::size_t kMostViews = 4096;

// The open loan of this message. NotFound: there is none, or it was given back.
Result<std::map<PluginId, Lent>::iterator> loan_of(Connection& one,
                                                   const plugin_message_t* message) {
  if (message == nullptr) return fail(Code::Invalid, "the message is NULL");
  const auto found = one.loans.find(PluginId{message->receiver});
  if (found == one.loans.end() || found->second.data != message->data)
    return fail(Code::NotFound, "no loan to plugin {} at this address is open", message->receiver);
  return found;
}

} // namespace

Result<View*> view_of(Connection& one, const plugin_message_t& message) {
  const auto view = std::ranges::find_if(one.views, [&](const View& candidate) {
    return !candidate.released && candidate.message.payload.data() == message.data;
  });
  if (message.data == nullptr || view == one.views.end())
    return fail(Code::NotFound, "no view of a message at this address (released already?)");
  return &*view;
}

} // namespace mohhos::api::capi

using namespace mohhos;
using namespace mohhos::api::capi;

int plugin_loan_message(plugin_id_t target, plugin_message_t* message) {
  return guarded([&]() -> Result<> {
    TRY(const ipc::Outgoing about, outgoing_of(message));
    if (target == 0) return fail(Code::Invalid, "0 is no plugin's id");
    return with_endpoint([&](Connection& one, ipc::Endpoint& endpoint) -> Result<> {
      TRY(check_no_loan(one, PluginId{target}));
      TRY(const ChannelId channel,
          endpoint.open_channel(PluginId{target}, ipc::Deadline::within(kOpenTime)));
      auto lent =
          endpoint.loan(channel, message->data_size, about, ipc::Deadline::within(kSendTime));
      if (!lent && lent.error().code == Code::PeerRestarted) // as plugin_send_message
        lent = endpoint.loan(channel, message->data_size, about, ipc::Deadline::within(kSendTime));
      if (!lent) return std::unexpected(std::move(lent).error());
      message->data = lent->data();
      message->receiver = target;
      one.loans[PluginId{target}] = {one.endpoint, channel, lent->data()};
      return {};
    });
  });
}

int plugin_commit_message(plugin_message_t* message) {
  return guarded([&]() -> Result<> {
    Connection& one = connection();
    const std::scoped_lock lock(one.data);
    TRY(const auto found, loan_of(one, message));
    const Lent lent = std::move(one.loans.extract(found).mapped());
    message->data = nullptr;
    const std::uint64_t id =
        lent.endpoint == one.endpoint ? lent.endpoint->commit(lent.channel) : 0;
    if (id != 0) lent.endpoint->flush();
    nudge(one);
    if (id == 0) return fail(Code::PeerGone, "the channel ended while the loan was open");
    message->id = id;
    message->sender = one.own_id.value;
    message->timestamp = ipc::monotonic_ns();
    return {};
  });
}

int plugin_discard_message(plugin_message_t* message) {
  return guarded([&]() -> Result<> {
    Connection& one = connection();
    const std::scoped_lock lock(one.data);
    TRY(const auto found, loan_of(one, message));
    one.loans.erase(found); // the next loan or send begins at the same place
    message->data = nullptr;
    return {};
  });
}

int plugin_receive_view(plugin_message_t* message, uint32_t timeout_ms) {
  return guarded([&]() -> Result<> {
    if (message == nullptr) return fail(Code::Invalid, "the message is NULL");
    {
      Connection& one = connection();
      const std::scoped_lock lock(one.data);
      if (one.views.size() >= kMostViews)
        return fail(Code::Exhausted, "{} messages are not released yet", one.views.size());
    }
    return receive(timeout_ms, [&](Connection& one, const ipc::Message& got) {
      // Read-only memory: writing to it is a fault, whatever the type says.
      // (Its place names a message that has a memory, also when it has no bytes.)
      const bool has_memory = got.info.attachment != 0;
      void* const data =
          got.payload.empty() && !has_memory ? nullptr : const_cast<std::byte*>(got.payload.data());
      *message = message_of(got.info, got.sender, one.own_id, data, got.payload.size());
      if (has_memory) message->flags = PLUGIN_MESSAGE_MEMORY;
      if (data == nullptr) return release(one, got);
      one.views.push_back({one.endpoint, got, false});
    });
  });
}

int plugin_release_view(plugin_message_t* message) {
  return guarded([&]() -> Result<> {
    if (message == nullptr) return fail(Code::Invalid, "the message is NULL");
    if (message->data == nullptr) return {};
    Connection& one = connection();
    const std::scoped_lock lock(one.data);
    TRY(View* const view, view_of(one, *message));
    message->data = nullptr;
    view->released = true;
    settle_views(one);
    return {};
  });
}
