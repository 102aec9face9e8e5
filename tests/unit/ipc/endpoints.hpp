// Endpoints over a real broker, by name; what every test of them starts from.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "parties.hpp"
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

// Answers every request with its own text and an exclamation mark, until it is told "stop".
inline void answer_requests(Endpoint& endpoint) {
  for (;;) {
    auto message = endpoint.receive(soon());
    if (!message || !*message) return;
    const std::string text = text_of((*message)->payload);
    const ReplyTo to = reply_to(**message);
    endpoint.release(**message);
    if (text == "stop") return;
    if (text == "no")
      (void)endpoint.respond(to, bytes_of("I would rather not"), soon(), true);
    else if (to.correlation != 0)
      (void)endpoint.respond(to, bytes_of(text + "!"), soon());
  }
}

// What the owner of an endpoint is told of an end; its receive() returns then.
class LastEnd {
public:
  explicit LastEnd(Endpoint& endpoint) {
    endpoint.on_ended([this, &endpoint](const Ended& ended) {
      end_ = ended;
      endpoint.interrupt();
    });
  }
  LastEnd(const LastEnd&) = delete;
  LastEnd& operator=(const LastEnd&) = delete;
  explicit operator bool() const { return end_.has_value(); }
  const Ended* operator->() const { return &end_.value(); }

private:
  std::optional<Ended> end_;
};

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
