// deadletter: messages that killed their receiver, or that nobody will read any more.
#include <memory>
#include <unistd.h>

#include "api/utf8.hpp"
#include "monitor/logs.hpp"
#include "plugctl_endpoint.hpp"
#include "plugctl_json.hpp"
#include "sys/file.hpp"
#include "sys/mapping.hpp"

namespace mohhos::plugctl {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kPatience = 10s;
constexpr std::chrono::milliseconds kLook{5};
constexpr std::size_t kShown = 64 << 10;
constexpr std::size_t kPerLine = 16;

struct Options {
  std::uint64_t id = 0;
  bool raw = false;
};

v1::DeadLetterRef ref_of(std::uint64_t id) {
  v1::DeadLetterRef ref;
  ref.set_id(id);
  return ref;
}

void write_letter(const v1::DeadLetter& letter, Json& json) {
  json["id"] = letter.id();
  json["to"] = letter.to();
  json["from"] = letter.from();
  json["to_id"] = letter.to_id();
  json["from_id"] = letter.from_id();
  json["to_generation"] = letter.to_generation();
  json["reason"] = letter.reason();
  json["deaths"] = letter.deaths();
  json["buried_us"] = letter.buried_us();
  json["channel"] = letter.channel();
  json["message_id"] = letter.message_id();
  json["type"] = letter.type();
  json["priority"] = letter.priority();
  json["event"] = letter.event();
  json["from_generation"] = letter.from_generation();
  json["correlation"] = letter.correlation();
  json["size"] = letter.size();
}

Result<v1::DeadLetterList> find_all(const Context& context, api::Timeout timeout) {
  TRY(api::Client client, context.connect());
  return client.call<v1::DeadLetterList>(api::Method::DeadLetterList, v1::Empty(), timeout);
}

Result<int> list(const Context& context) {
  TRY(const api::Timeout timeout, context.timeout(kPatience));
  TRY(const auto found, find_all(context, timeout));
  if (context.json()) {
    Json json = envelope();
    Json& letters = json["letters"] = Json::array();
    for (const auto& letter : found.letters()) write_letter(letter, letters.emplace_back());
    print_json(json);
    return 0;
  }
  Table table({{"ID", Align::Right},
               {"BURIED"},
               {"FROM"},
               {"TO"},
               {"SIZE", Align::Right},
               {"DEATHS", Align::Right},
               {"REASON"}});
  for (const auto& letter : found.letters())
    table.add({std::to_string(letter.id()), human_clock(letter.buried_us()), letter.from(),
               letter.to(), std::to_string(letter.size()), std::to_string(letter.deaths()),
               letter.reason()});
  if (!found.letters().empty() || !context.quiet) table.print(want_color(context.no_color));
  return 0;
}

// For completion.
Result<int> ids(const Context& context) {
  const auto found = find_all(context, 1s);
  if (!found) return 0;
  for (const auto& letter : found->letters()) fmt::print("{}\n", letter.id());
  return 0;
}

struct Shown {
  v1::DeadLetter letter;
  sys::Mapping payload;
};

Result<Shown> fetch(api::Client& client, std::uint64_t id, api::Timeout timeout) {
  Shown shown;
  sys::Fd fd;
  TRY(shown.letter,
      client.call<v1::DeadLetter>(api::Method::DeadLetterShow, ref_of(id), timeout, -1, &fd));
  if (!fd) return fail(Code::Malformed, "the daemon's answer came without a descriptor");
  if (shown.letter.size() == 0) return shown; // nothing can be mapped
  TRY(shown.payload, sys::map_sealed(fd.get()));
  return shown;
}

std::string hex_of(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte byte : bytes) text += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
  return text;
}

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Offset, hexadecimal, and what can be printed.
void print_dump(std::span<const std::byte> bytes) {
  for (std::size_t at = 0; at < bytes.size(); at += kPerLine) {
    const auto line = bytes.subspan(at, std::min(kPerLine, bytes.size() - at));
    std::string hex;
    std::string text;
    for (const std::byte byte : line) {
      const auto value = std::to_integer<unsigned char>(byte);
      hex += fmt::format("{:02x} ", value);
      text += value >= 0x20 && value < 0x7F ? static_cast<char>(value) : '.';
    }
    fmt::print("{:08x}  {:<{}} {}\n", at, hex, kPerLine * 3, text);
  }
}

Result<int> show(const Context& context, const Options& options) {
  TRY(const api::Timeout timeout, context.timeout(kPatience));
  TRY(api::Client client, context.connect());
  TRY(const Shown shown, fetch(client, options.id, timeout));
  const v1::DeadLetter& letter = shown.letter;
  const auto all = shown.payload.bytes();
  if (options.raw) {
    TRY(sys::write_all(STDOUT_FILENO, text_of(all)));
    return 0;
  }
  const auto part = all.first(std::min(all.size(), kShown));
  if (context.json()) {
    Json json = envelope();
    write_letter(letter, json);
    json["payload_hex"] = hex_of(part);
    json["payload_text"] =
        api::as_utf8(text_of(part)) == text_of(part) ? std::string(text_of(part)) : std::string();
    json["truncated"] = part.size() < all.size();
    print_json(json);
    return 0;
  }
  const auto field = [](std::string_view name, const std::string& value) {
    fmt::print("{:<12} {}\n", fmt::format("{}:", name), monitor::escape_controls(value));
  };
  field("letter", std::to_string(letter.id()));
  field("to", fmt::format("{} (id {}, generation {})", letter.to(), letter.to_id(),
                          letter.to_generation()));
  field("from", fmt::format("{} (id {}, generation {})", letter.from(), letter.from_id(),
                            letter.from_generation()));
  field("reason", letter.reason());
  field("buried", human_clock(letter.buried_us()));
  field("message", fmt::format("{} of channel {}, type {}, priority {}, event {}, correlation {}",
                               letter.message_id(), letter.channel(), letter.type(),
                               letter.priority(), letter.event(), letter.correlation()));
  field("size", std::to_string(letter.size()));
  if (!part.empty()) fmt::print("\n");
  print_dump(part);
  if (part.size() < all.size())
    fmt::print("… and {} bytes more (--raw writes all)\n", all.size() - part.size());
  return 0;
}

Result<int> say_done(const Context& context, std::uint64_t id, std::string_view what) {
  if (context.json()) {
    Json json = envelope();
    json["id"] = id;
    print_json(json);
  } else if (!context.quiet) {
    fmt::print("dead letter {} {}\n", id, what);
  }
  return 0;
}

// The letter is dropped only when the plugin is done with the message: until then it is in two
// places, and never in none.
Result<int> retry(const Context& context, const Options& options) {
  TRY(const api::Timeout timeout, context.timeout(kPatience));
  const Monotonic deadline = std::chrono::steady_clock::now() + timeout.value_or(kPatience);
  TRY(api::Client client, context.connect());
  TRY(const Shown shown, fetch(client, options.id, timeout));
  sys::Fd link;
  TRY(const auto letter, client.call<v1::DeadLetter>(api::Method::DeadLetterRetry,
                                                     ref_of(options.id), timeout, -1, &link));
  if (!link) return fail(Code::Malformed, "the daemon's answer came without a descriptor");
  TRY(const auto endpoint, ipc::Endpoint::open(std::move(link), {}));
  std::optional<Error> ended;
  endpoint->on_ended([&](const ipc::Ended& one) {
    if (one.why.code != Code::PeerRestarted) ended = one.why;
  });
  TRY(const auto channel, endpoint->open_channel(std::string_view(letter.to()), deadline,
                                                 ring_for(shown.payload.size())));
  const ipc::Outgoing about{.type = static_cast<ipc::MessageType>(letter.type()),
                            .event = letter.event()};
  TRY(endpoint->send(channel, about, shown.payload.bytes(), deadline));
  while (!endpoint->acknowledged(channel)) {
    const Monotonic now = std::chrono::steady_clock::now();
    if (now >= deadline)
      return fail(Code::TimedOut,
                  "{} has it, and is not done with it yet; the letter stays (drop it when you know "
                  "that it was handled)",
                  letter.to());
    TRY(endpoint->receive(now + kLook));
    if (ended) break;
  }
  if (ended) return std::unexpected(*ended);
  TRY(client.call<v1::Empty>(api::Method::DeadLetterDrop, ref_of(options.id), timeout));
  return say_done(context, options.id, fmt::format("was handled by {}", letter.to()));
}

Result<int> drop(const Context& context, const Options& options) {
  TRY(const api::Timeout timeout, context.timeout(kPatience));
  TRY(api::Client client, context.connect());
  TRY(client.call<v1::Empty>(api::Method::DeadLetterDrop, ref_of(options.id), timeout));
  return say_done(context, options.id, "is dropped");
}

} // namespace

void add_deadletter_commands(CLI::App& app, Context& context) {
  CLI::App& group =
      add_command(app, "deadletter", "Messages that killed their plugin, or were left unread");
  group.require_subcommand(1);
  const auto add = [&](const char* name, const char* help,
                       Result<int> (*run)(const Context&, const Options&)) -> CLI::App& {
    const auto options = std::make_shared<Options>();
    CLI::App& command = add_command(group, name, help);
    command.add_option("ID", options->id, "As `deadletter list` shows it")
        ->required()
        ->check(at_least_one());
    if (std::string_view(name) == "show")
      command.add_flag("--raw", options->raw, "The payload's bytes and nothing else");
    command.callback([&context, options, name, run] {
      context.what = fmt::format("deadletter {} {}", name, options->id);
      context.run = [&context, options, run] { return run(context, *options); };
    });
    return command;
  };
  add_command(group, "list", "All of them").callback([&context] {
    context.what = "deadletter list";
    context.run = [&context] { return list(context); };
  });
  add("show", "One of them, and what is in it", show);
  add("retry", "Send it to the plugin of that name again", retry);
  add("drop", "Throw it away", drop);
  CLI::App& hidden = add_command(app, "__letters", "");
  hidden.group("");
  hidden.callback([&context] {
    context.what = "deadletter list";
    context.run = [&context] { return ids(context); };
  });
}

} // namespace mohhos::plugctl
