// What the files of the server share: how a method reads its request, and the methods that have a
// file of their own.
#pragma once

#include "api/rpc_server.hpp"
#include "manager/manager.hpp"
#include "mohhos/v1/control.pb.h"

namespace mohhos::api {

using manager::Manager;

template <class Message>
Result<Message> parse(const std::string& payload) {
  Message message;
  if (!message.ParseFromString(payload))
    return fail(Code::Malformed, "the payload is not a {}", Message::descriptor()->full_name());
  return message;
}

[[nodiscard]] Result<PluginId> plugin_of(const Manager& manager, const v1::PluginRef& ref);
// 0 when the request names none: all plugins.
[[nodiscard]] Result<PluginId> plugin_or_all(const Manager& manager, const v1::PluginRef& ref);

// server_channels.cpp
[[nodiscard]] Result<> list_channels(Manager& manager, Call& call, const Responder& responder);
[[nodiscard]] Result<> tap_channel(Manager& manager, Call& call, const Responder& responder);
[[nodiscard]] Result<> open_replay(Manager& manager, Call& call, const Responder& responder);

} // namespace mohhos::api
