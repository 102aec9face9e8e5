// send, call, listen: messages to and from plugins over channels of our own, through the same
// shared memory as between plugins.
#include <array>
#include <memory>
#include <unistd.h>

#include "api/utf8.hpp"
#include "ipc/message_names.hpp"
#include "monitor/logs.hpp"
#include "plugctl_endpoint.hpp"
#include "plugctl_json.hpp"

namespace mohhos::plugctl {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kPatience = 10s;
constexpr auto kDrainLook = 50us; // at first
constexpr auto kSlowDrainLook = 1ms;
constexpr auto kDrainSoon = 10ms;

Monotonic now() {
  return std::chrono::steady_clock::now();
}

struct MessageOptions {
  std::string plugin;
  std::string text;
  std::string file;
  std::string type;
  std::string priority = "normal";
  std::uint32_t event = 0;
  bool no_wait = false;
};

Result<ipc::Outgoing> about_of(const MessageOptions& options, ipc::MessageType usual) {
  ipc::Outgoing about{.type = usual};
  const auto type = options.type.empty() ? usual : ipc::parse_message_type(options.type);
  if (!type || *type == ipc::MessageType::DataResponse)
    return fail(Code::Invalid, "--type {}: there are {}", options.type, ipc::message_type_names());
  const auto priority = ipc::parse_priority(options.priority);
  if (!priority)
    return fail(Code::Invalid, "--priority {}: there are {}", options.priority,
                ipc::priority_names());
  about.type = options.event != 0 && options.type.empty() ? ipc::MessageType::EventNotify : *type;
  about.priority = *priority;
  about.event = options.event;
  return about;
}

// --- send ---

Result<int> send(const Context& context, const MessageOptions& options) {
  TRY(const ipc::Outgoing about, about_of(options, ipc::MessageType::Custom));
  TRY(const std::string payload, read_payload(options.text, options.file));
  TRY(const api::Timeout timeout, context.timeout(kPatience));
  const Monotonic deadline = now() + timeout.value_or(kPatience);
  TRY(Connection connection, open_endpoint(context, timeout));
  ipc::Endpoint& endpoint = *connection.endpoint;
  TRY(const ChannelId channel, open_channel(endpoint, options.plugin, deadline, payload.size()));
  const Monotonic begin = now();
  TRY(const std::uint64_t id,
      endpoint.send(channel, about, std::as_bytes(std::span(payload)), deadline));
  endpoint.flush();
  while (!options.no_wait && !endpoint.acknowledged(channel)) {
    if (now() >= deadline)
      return fail(Code::TimedOut, "sent, and not acknowledged in time (it is still in the ring)");
    const Monotonic time = now();
    const Monotonic look = time < begin + kDrainSoon ? time + kDrainLook : time + kSlowDrainLook;
    TRY(const auto message, endpoint.receive(std::min(deadline, look))); // hears of the end, too
    if (message) endpoint.release(*message);
  }
  if (!options.no_wait && !endpoint.peer(channel))
    return fail(Code::PeerGone, "it ended; whether it had taken the message is not known");
  const auto us = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(now() - begin).count());
  if (context.json()) {
    Json json = envelope();
    json["plugin"] = options.plugin;
    json["message"] = id;
    json["bytes"] = payload.size();
    json["acknowledged"] = !options.no_wait;
    json["took_us"] = us;
    print_json(json);
  } else if (!context.quiet) {
    fmt::print("sent {} bytes to {}{}\n", payload.size(), options.plugin,
               options.no_wait ? "" : ", acknowledged after " + human_us(us));
  }
  return 0;
}

// --- call ---

void print_response(const Context& context, const std::string& plugin, std::string_view response) {
  if (context.json()) {
    Json json = envelope();
    json["plugin"] = plugin;
    const bool utf8 = api::as_utf8(response) == response;
    json["response"] = utf8 ? response : "";
    json["response_hex"] = utf8 ? "" : to_hex(response);
    print_json(json);
    return;
  }
  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  fmt::print("{}{}", terminal ? escape_lines(response) : std::string(response),
             response.ends_with('\n') ? "" : "\n");
}

// What comes meanwhile and is not the answer is nobody's.
Result<std::string> wait_for_answer(ipc::Endpoint& endpoint, std::uint64_t number,
                                    const std::optional<Result<std::string>>& answer) {
  bool cancelled = false;
  while (!answer) {
    if (Interrupt::signal() != 0 && !cancelled) {
      cancelled = true;
      (void)endpoint.cancel(number);
      endpoint.flush();
    }
    TRY(const auto message, endpoint.receive(ipc::kForever)); // the request has its own deadline
    if (message) endpoint.release(*message);
  }
  return *answer;
}

Result<int> call(const Context& context, const MessageOptions& options) {
  TRY(const ipc::Outgoing about, about_of(options, ipc::MessageType::DataRequest));
  TRY(const std::string request, read_payload(options.text, options.file));
  TRY(const api::Timeout timeout, context.timeout(kPatience));
  const Monotonic deadline = now() + timeout.value_or(kPatience);
  TRY(Connection connection, open_endpoint(context, timeout));
  ipc::Endpoint& endpoint = *connection.endpoint;
  TRY(const Interrupt interrupt, Interrupt::open(endpoint));
  TRY(const ChannelId channel, open_channel(endpoint, options.plugin, deadline, request.size()));
  std::optional<Result<std::string>> answer;
  TRY(const std::uint64_t number, endpoint.call(channel, about, std::as_bytes(std::span(request)),
                                                deadline, [&](Result<const ipc::Message*> got) {
                                                  endpoint.interrupt();
                                                  if (got)
                                                    answer = std::string(as_text((*got)->copy()));
                                                  else
                                                    answer =
                                                        std::unexpected(std::move(got).error());
                                                }));
  auto response = wait_for_answer(endpoint, number, answer);
  if (!response && response.error().code == Code::Cancelled && Interrupt::signal() != 0) {
    if (!context.quiet) fmt::print(stderr, "plugctl: call {}: taken back\n", options.plugin);
    return 128 + Interrupt::signal();
  }
  TRY(const std::string text, std::move(response));
  print_response(context, options.plugin, text);
  return 0;
}

// --- listen ---

struct ListenOptions {
  std::vector<std::uint32_t> events;
  std::string from;
  std::uint64_t count = 0;
};

Json message_json(const ipc::Endpoint& endpoint, const ipc::Message& message,
                  std::string_view payload) {
  const auto peer = endpoint.peer(message.channel);
  Json json = envelope();
  json["sender_id"] = message.sender.value;
  json["sender"] = peer ? peer->name : "";
  json["channel"] = message.channel.value;
  json["message"] = message.info.id;
  json["type"] = ipc::type_name(message.info.type);
  json["priority"] = ipc::priority_name(message.info.priority);
  json["event"] = message.info.event;
  json["redelivered"] = message.info.redelivered;
  json["sent_ns"] = message.info.timestamp_ns;
  json["received_ns"] = message.received_ns;
  json["size"] = payload.size();
  json["text"] = is_text(payload) ? payload : "";
  json["hex"] = is_text(payload) ? "" : to_hex(payload);
  return json;
}

void print_message(const Context& context, const ipc::Endpoint& endpoint,
                   const ipc::Message& message) {
  const std::vector<std::byte> copy = message.copy(); // the sender can still change the original
  const std::string_view payload = as_text(copy);
  if (context.json()) return print_json_line(message_json(endpoint, message, payload));
  const auto peer = endpoint.peer(message.channel);
  const std::string event = message.info.event == 0 ? "" : fmt::format(" {}", message.info.event);
  fmt::print("{} {}{} {}{}: {}\n", peer ? monitor::escape_controls(peer->name) : "?",
             ipc::type_name(message.info.type), event, ipc::priority_name(message.info.priority),
             message.info.redelivered ? " redelivered" : "",
             is_text(payload) ? monitor::escape_controls(payload) : to_hex(payload));
  std::fflush(stdout);
}

Result<> subscribe(const Context& context, Connection& connection, const ListenOptions& options) {
  PluginId publisher;
  if (!options.from.empty()) {
    TRY(const auto info, connection.client.call<v1::PluginInfo>(
                             api::Method::Info, plugin_ref(options.from), kPatience));
    publisher = {info.id()};
  }
  if (!options.events.empty())
    TRY(connection.endpoint->subscribe(publisher, options.events, now() + kPatience));
  if (!context.quiet && !context.json())
    fmt::print(stderr, "listening as application {}\n", connection.id.value);
  return {};
}

Result<int> listen(const Context& context, const ListenOptions& options) {
  TRY(const api::Timeout timeout, context.timeout());
  const Monotonic deadline = timeout ? now() + *timeout : ipc::kForever;
  TRY(Connection connection, open_endpoint(context, kPatience));
  ipc::Endpoint& endpoint = *connection.endpoint;
  TRY(const Interrupt interrupt, Interrupt::open(endpoint));
  TRY(subscribe(context, connection, options));
  for (std::uint64_t seen = 0; options.count == 0 || seen < options.count;) {
    TRY(const auto message, endpoint.receive(deadline));
    if (message) { // also one that came with the interrupt
      print_message(context, endpoint, *message);
      TRY(flush_output()); // else it is not acknowledged
      endpoint.release(*message);
      ++seen;
    }
    if (Interrupt::signal() != 0) return 128 + Interrupt::signal();
    if (!message && now() >= deadline)
      return fail(Code::TimedOut, "{} messages came in time", seen);
  }
  return 0;
}

// --- the command line ---

void add_message_options(CLI::App& command, MessageOptions& options) {
  command.add_option("PLUGIN", options.plugin, "Name or id")->required();
  command.add_option("TEXT", options.text, "The message; '-' reads it from stdin");
  command.add_option("--file", options.file, "The message is this file");
  command.add_option("--type", options.type, ipc::message_type_names());
  command.add_option("--priority", options.priority, ipc::priority_names());
}

void add_send(CLI::App& app, Context& context) {
  const auto options = std::make_shared<MessageOptions>();
  CLI::App& command =
      add_command(app, "send", "Send a message to a plugin, and wait until it is acknowledged");
  add_message_options(command, *options);
  command.add_option("--event", options->event, "The number of an event (type event-notify)")
      ->check(at_least_one());
  command.add_flag("--no-wait", options->no_wait, "Do not wait for the acknowledgement");
  command.callback([&context, options] {
    context.what = fmt::format("send {}", options->plugin);
    context.run = [&context, options] { return send(context, *options); };
  });
}

void add_call(CLI::App& app, Context& context) {
  const auto options = std::make_shared<MessageOptions>();
  CLI::App& command = add_command(
      app, "call", "Send a request to a plugin and print its answer; ^C takes the request back");
  add_message_options(command, *options);
  command.callback([&context, options] {
    context.what = fmt::format("call {}", options->plugin);
    context.run = [&context, options] { return call(context, *options); };
  });
}

void add_listen(CLI::App& app, Context& context) {
  const auto options = std::make_shared<ListenOptions>();
  CLI::App& command = add_command(app, "listen", "Print messages and events that are sent to us");
  CLI::Option* const event =
      command.add_option("--event", options->events, "Subscribe to this event; may be given again")
          ->check(at_least_one());
  command.add_option("--from", options->from, "Events of this plugin only (name or id)")
      ->needs(event);
  command.add_option("--count", options->count, "End after so many messages")
      ->check(at_least_one());
  command.callback([&context, options] {
    context.what = "listen";
    context.run = [&context, options] { return listen(context, *options); };
  });
}

} // namespace

void add_call_commands(CLI::App& app, Context& context) {
  add_send(app, context);
  add_call(app, context);
  add_listen(app, context);
}

} // namespace mohhos::plugctl
