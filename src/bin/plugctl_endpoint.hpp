// What the commands that talk to plugins share: an endpoint of our own, channels, payloads, ^C.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "ipc/endpoint.hpp"
#include "plugctl.hpp"

namespace mohhos::plugctl {

struct Connection {
  api::Client client;
  std::unique_ptr<ipc::Endpoint> endpoint;
  PluginId id; // our own
};

// `name`: how plugins and operators see us. [any]
[[nodiscard]] Result<Connection> open_endpoint(const Context& context, api::Timeout timeout,
                                               std::string_view name = "plugctl");

// Of what a method answered, with the descriptor that came beside it. [any]
[[nodiscard]] Result<Connection> make_connection(api::Client client, sys::Fd link,
                                                 std::uint64_t id);

// The ring to ask for, for messages of this size; 0: the usual one. [pure]
[[nodiscard]] std::uint64_t ring_for(std::uint64_t largest);
// By name or id; with a ring that takes messages of `largest` bytes. [any]
[[nodiscard]] Result<ChannelId> open_channel(ipc::Endpoint& endpoint, const std::string& plugin,
                                             Monotonic deadline, std::uint64_t largest = 0);

// Of an option that is a number, for what would otherwise be a very large one (-1), or none. [pure]
[[nodiscard]] CLI::Validator at_least_one();

// TEXT, all of stdin for "-", or a file; Invalid unless it is exactly one of them. [any]
[[nodiscard]] Result<std::string> read_payload(const std::string& text, const std::string& file);

// What a message holds, when it is text: UTF-8 without control characters but \t, \r and \n. [pure]
[[nodiscard]] bool is_text(std::string_view payload);
[[nodiscard]] std::string to_hex(std::string_view payload);
[[nodiscard]] std::string_view as_text(std::span<const std::byte> payload);

// From its beginning on, SIGINT and SIGTERM no longer end plugctl: they end the endpoint's
// receive(), and are remembered. One at a time.
class Interrupt {
public:
  [[nodiscard]] static Result<Interrupt> open(ipc::Endpoint& endpoint);
  // The signal, 0: none came. [any]
  [[nodiscard]] static int signal() noexcept;

private:
  explicit Interrupt(sys::Fd bell) : bell_(std::move(bell)) {}
  sys::Fd bell_;
};

} // namespace mohhos::plugctl
