// Endpoints over a real broker, by name; what every test of them starts from.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "ring_memory.hpp"
#include "switchboard.hpp"

namespace mohhos::ipc::testing {

using namespace std::chrono_literals;

inline Monotonic in(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}
inline constexpr auto kLong = 10s; // a deadline that is a failure when it passes
inline Monotonic soon() {
  return in(kLong);
}

inline Party plugin(std::uint64_t id, std::string name) {
  Party party{.id = {id},
              .name = std::move(name),
              .type = model::PluginType::Custom,
              .generation = {1},
              .capabilities = {},
              .acl = {}};
  party.acl.send_to = party.acl.receive_from = {"*"};
  return party;
}

class EndpointTest : public ::testing::Test {
protected:
  std::unique_ptr<Endpoint> open(const Party& party, EndpointSettings settings = {}) {
    return *Endpoint::open(board.connect(party), settings);
  }
  // The text of the next message, released.
  static std::string take(Endpoint& endpoint) {
    auto message = endpoint.receive(soon());
    if (!message) return "error: " + message.error().text;
    if (!*message) return "nothing";
    std::string text = text_of((*message)->payload);
    endpoint.release(**message);
    return text;
  }
  static ChannelId channel_to(Endpoint& endpoint, std::string_view name) {
    auto channel = endpoint.open_channel(name, soon());
    EXPECT_TRUE(channel) << channel.error().text;
    return channel.value_or(ChannelId{});
  }
  static void send(Endpoint& endpoint, ChannelId channel, std::string_view text) {
    const auto sent = endpoint.send(channel, {}, bytes_of(text), soon());
    EXPECT_TRUE(sent) << sent.error().text;
  }

  Switchboard board;
};

} // namespace mohhos::ipc::testing
