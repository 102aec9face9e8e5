// replay: the messages of a recording once more, from an application endpoint of ours.
//
// The whole file is checked before anything is sent. Requests are sent as requests, and their
// answers counted; responses and cancellations of the recording are left out, because nobody waits
// for them now. What was durable is durable again, and on disk when the replay has ended.
#include <charconv>
#include <memory>
#include <unistd.h>

#include "ipc/message_names.hpp"
#include "ipc/recording.hpp"
#include "monitor/logs.hpp"
#include "plugctl_endpoint.hpp"
#include "plugctl_json.hpp"
#include "sys/file.hpp"

namespace mohhos::plugctl {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kPatience = 10s; // for space in a ring, and for an answer
constexpr std::uint64_t kMessagesPerLook = 64;
constexpr std::uint64_t kLargestPause = 3'600'000'000'000; // of a recording's time stamps, ns

struct Options {
  std::string file;
  std::string to;
  std::string speed = "as-recorded";
  bool dry_run = false;
  bool partial = false;
};

struct Speed {
  double factor = 1; // 0: as fast as they are taken
};

Result<Speed> parse_speed(const std::string& text) {
  if (text == "as-recorded") return Speed{1};
  if (text == "max") return Speed{0};
  double factor = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, factor);
  if (error != std::errc() || stop != end || !(factor > 0.0001) || !(factor < 10000))
    return fail(Code::Invalid, "--speed {}: as-recorded, max, or a factor such as 2 or 0.5", text);
  return Speed{factor};
}

Result<ipc::RecordingReader> open_recording(const std::string& path) {
  TRY(auto file, sys::open_regular(path));
  const auto shared = std::make_shared<sys::Fd>(std::move(file));
  auto reader =
      ipc::RecordingReader::open([shared](std::span<std::byte> to) -> Result<std::size_t> {
        for (;;) {
          const ssize_t got = ::read(shared->get(), to.data(), to.size());
          if (got >= 0) return static_cast<std::size_t>(got);
          if (errno != EINTR) return fail_errno("reading the recording");
        }
      });
  if (!reader) return std::unexpected(std::move(reader).error().within(path));
  return reader;
}

// What a recording holds, as far as it can be read.
struct Contents {
  ipc::Recording recording;
  std::uint64_t messages = 0; // that can be sent
  std::uint64_t requests = 0; // of these
  std::uint64_t durable = 0;  // of these
  std::uint64_t left_out = 0; // responses and cancellations
  std::uint64_t attached = 0; // whose shared memory is not in the file
  std::uint64_t missed = 0;   // that the recorder missed
  std::uint64_t bytes = 0;    // of payload
  std::uint64_t largest = 0;
  std::uint64_t first_ns = 0;
  std::uint64_t last_ns = 0;
  std::optional<Error> damage{};
};

bool is_durable(const ipc::TapHeader& header) {
  return (header.flags & ipc::kTapDurable) != 0;
}

bool can_be_sent(const ipc::TapHeader& header) {
  return header.type != static_cast<std::uint32_t>(ipc::MessageType::DataResponse) &&
         (header.flags & ipc::kTapCancels) == 0;
}

void count(const ipc::RecordedMessage& message, Contents& contents) {
  if (!can_be_sent(message.header)) {
    ++contents.left_out;
    return;
  }
  if (contents.messages == 0) contents.first_ns = message.header.received_ns;
  contents.last_ns = message.header.received_ns;
  ++contents.messages;
  if (message.header.correlation != 0) ++contents.requests;
  if (is_durable(message.header)) ++contents.durable;
  if (message.header.attachment != 0) ++contents.attached;
  contents.bytes += message.payload.size();
  contents.largest = std::max<std::uint64_t>(contents.largest, message.payload.size());
}

Result<Contents> survey(const std::string& path) {
  TRY(auto reader, open_recording(path));
  Contents contents{.recording = reader.recording()};
  for (;;) {
    auto entry = reader.next();
    if (!entry) {
      contents.damage = std::move(entry).error().within(path);
      return contents;
    }
    if (!*entry) return contents;
    if (const auto* const message = std::get_if<ipc::RecordedMessage>(&**entry))
      count(*message, contents);
    else
      contents.missed += std::get<ipc::RecordedGap>(**entry).missed;
  }
}

struct Sent {
  std::uint64_t messages = 0;
  std::uint64_t answers = 0;
  std::uint64_t refusals = 0; // answers that were 'no'
  std::uint64_t unanswered = 0;
};

class Replay {
public:
  Replay(ipc::Endpoint& endpoint, ChannelId channel, Speed speed, const Contents& contents)
      : endpoint_(endpoint), channel_(channel), speed_(speed), first_ns_(contents.first_ns),
        begun_(std::chrono::steady_clock::now()) {}

  // False: it was interrupted.
  [[nodiscard]] Result<bool> send(const ipc::RecordedMessage& message) {
    // As fast as they are taken: answers now and then, a look costs more than a message.
    const bool look = speed_.factor != 0 || sent_.messages % kMessagesPerLook == 0;
    if (look) {
      TRY(const bool due, wait_until(due_at(message.header)));
      if (!due) return false;
    }
    const ipc::Outgoing about{.type = static_cast<ipc::MessageType>(message.header.type),
                              .priority = static_cast<ipc::Priority>(message.header.priority),
                              .durable = is_durable(message.header),
                              .event = message.header.event};
    const Monotonic deadline = std::chrono::steady_clock::now() + kPatience;
    if (message.header.correlation != 0) {
      TRY(ask(about, message.payload, deadline));
    } else {
      TRY(endpoint_.send(channel_, about, message.payload, deadline));
    }
    ++sent_.messages;
    if (speed_.factor != 0) endpoint_.flush();
    return true;
  }
  // Until all is on disk that should be, acknowledged and answered.
  [[nodiscard]] Result<bool> finish() {
    const Monotonic deadline = std::chrono::steady_clock::now() + kPatience;
    if (auto synced = endpoint_.sync(deadline); !synced)
      return std::unexpected(std::move(synced).error().within("having it on disk"));
    while (open_ != 0 || !endpoint_.acknowledged(channel_)) {
      if (std::chrono::steady_clock::now() >= deadline)
        return fail(Code::TimedOut, "not everything was acknowledged in time");
      TRY(const bool go_on, wait_until(std::chrono::steady_clock::now() + 1ms));
      if (!go_on) return false;
    }
    if (!endpoint_.peer(channel_)) return fail(Code::PeerGone, "it ended before it took them all");
    return true;
  }
  [[nodiscard]] const Sent& sent() const { return sent_; }

private:
  // The stamps are what a plugin said: bounded, and never backwards.
  [[nodiscard]] Monotonic due_at(const ipc::TapHeader& header) {
    if (speed_.factor == 0) return {};
    const std::uint64_t from = std::max(last_ns_, first_ns_);
    const std::uint64_t step =
        header.received_ns > from ? std::min(header.received_ns - from, kLargestPause) : 0;
    last_ns_ = std::max(from, header.received_ns);
    waited_ += std::chrono::nanoseconds(
        static_cast<std::int64_t>(static_cast<double>(step) / speed_.factor));
    return begun_ + waited_;
  }
  [[nodiscard]] Result<> ask(const ipc::Outgoing& about, std::span<const std::byte> payload,
                             Monotonic deadline) {
    TRY(endpoint_.call(channel_, about, payload, deadline,
                       [this](const Result<const ipc::Message*>& got) {
                         --open_;
                         if (got)
                           ++sent_.answers;
                         else if (got.error().code == Code::PluginFailed)
                           ++sent_.refusals;
                         else
                           ++sent_.unanswered;
                       }));
    ++open_;
    return {};
  }
  // Takes answers meanwhile, and at least what is there.
  [[nodiscard]] Result<bool> wait_until(Monotonic until) {
    for (;;) {
      if (Interrupt::signal() != 0) return false;
      TRY(const auto message, endpoint_.receive(until));
      if (message) {
        endpoint_.release(*message);
        continue;
      }
      if (std::chrono::steady_clock::now() >= until) return true;
    }
  }

  ipc::Endpoint& endpoint_;
  ChannelId channel_;
  Speed speed_;
  std::uint64_t first_ns_;
  std::uint64_t last_ns_ = 0;
  Monotonic begun_;
  std::chrono::nanoseconds waited_{};
  std::uint64_t open_ = 0; // requests
  Sent sent_;
};

// Everything that the survey found. The file is read once more: it may be larger than memory. It
// may also have changed meanwhile: what is damaged now ends the replay.
Result<bool> send_all(Replay& replay, const Options& options, const Contents& contents) {
  TRY(auto reader, open_recording(options.file));
  while (replay.sent().messages < contents.messages) {
    TRY(const auto entry, reader.next());
    if (!entry) break;
    const auto* const message = std::get_if<ipc::RecordedMessage>(&*entry);
    if (message == nullptr || !can_be_sent(message->header)) continue;
    TRY(const bool go_on, replay.send(*message));
    if (!go_on) return false;
  }
  return replay.finish();
}

void say_contents(const Context& context, const Options& options, const Contents& contents,
                  const std::string& to) {
  const std::uint64_t ns =
      contents.last_ns > contents.first_ns ? contents.last_ns - contents.first_ns : 0;
  if (context.json()) {
    Json json = envelope();
    json["file"] = options.file;
    json["sender"] = contents.recording.sender;
    json["receiver"] = contents.recording.receiver;
    json["to"] = to;
    json["begun_us"] = contents.recording.begun_us;
    json["messages"] = contents.messages;
    json["requests"] = contents.requests;
    json["durable"] = contents.durable;
    json["left_out"] = contents.left_out;
    json["attachments"] = contents.attached;
    json["missed"] = contents.missed;
    json["bytes"] = contents.bytes;
    json["lasts_ns"] = ns;
    return print_json(json);
  }
  fmt::print("{}: {} → {}, {}\n", options.file, monitor::escape_controls(contents.recording.sender),
             monitor::escape_controls(contents.recording.receiver),
             human_clock(contents.recording.begun_us));
  fmt::print("{} messages ({} of them requests, {} durable), {}, over {}\n", contents.messages,
             contents.requests, contents.durable, human_bytes(contents.bytes), human_ns(ns));
  if (contents.left_out != 0)
    fmt::print("{} responses and cancellations are left out\n", contents.left_out);
  if (contents.attached != 0)
    fmt::print("{} had a shared memory with them that is not in the file\n", contents.attached);
  if (contents.missed != 0) fmt::print("{} were missed by the recorder\n", contents.missed);
  fmt::print("would go to {}\n", monitor::escape_controls(to));
}

void say_sent(const Context& context, const Options& options, const Contents& contents,
              const std::string& to, const Sent& sent, bool overrides) {
  if (context.json()) {
    Json json = envelope();
    json["file"] = options.file;
    json["to"] = to;
    json["overrides_receive_from"] = overrides;
    json["messages"] = sent.messages;
    json["left_out"] = contents.left_out;
    json["missed"] = contents.missed;
    json["answers"] = sent.answers;
    json["refusals"] = sent.refusals;
    json["unanswered"] = sent.unanswered;
    return print_json(json);
  }
  if (context.quiet) return;
  if (overrides)
    fmt::print(stderr, "{} does not receive from applications: overridden, and audited\n",
               monitor::escape_controls(to));
  fmt::print("sent {} of {} messages to {}", sent.messages, contents.messages,
             monitor::escape_controls(to));
  if (contents.requests != 0)
    fmt::print("; {} answers, {} refusals, {} without an answer", sent.answers, sent.refusals,
               sent.unanswered);
  fmt::print("\n");
}

struct Opened {
  Connection connection;
  bool overrides = false;
};
Result<Opened> open_replay(const Context& context, const Options& options, const std::string& to,
                           std::uint64_t messages) {
  TRY(const api::Timeout timeout, context.timeout(kPatience));
  TRY(api::Client client, context.connect());
  v1::OpenReplayRequest request;
  *request.mutable_receiver() = plugin_ref(to);
  request.set_recording(options.file);
  request.set_messages(messages);
  sys::Fd link;
  TRY(const auto answer,
      client.call<v1::OpenReplayResponse>(api::Method::OpenReplay, request, timeout, -1, &link));
  TRY(Connection connection, make_connection(std::move(client), std::move(link), answer.id()));
  return Opened{std::move(connection), answer.overrides()};
}

Result<int> replay(const Context& context, const Options& options) {
  TRY(const Speed speed, parse_speed(options.speed));
  TRY(const Contents contents, survey(options.file));
  if (contents.damage && !options.partial)
    return fail(contents.damage->code, "{}; nothing was sent (--partial sends the {} before it)",
                contents.damage->text, contents.messages);
  const std::string to = options.to.empty() ? contents.recording.receiver : options.to;
  if (options.dry_run) {
    say_contents(context, options, contents, to);
  } else {
    TRY(Opened opened, open_replay(context, options, to, contents.messages));
    ipc::Endpoint& endpoint = *opened.connection.endpoint;
    TRY(const Interrupt interrupt, Interrupt::open(endpoint));
    TRY(const ChannelId channel,
        open_channel(endpoint, to, std::chrono::steady_clock::now() + kPatience, contents.largest));
    Replay running(endpoint, channel, speed, contents);
    const auto done = send_all(running, options, contents);
    if (!done)
      return fail(done.error().code, "after {} of {} messages: {}", running.sent().messages,
                  contents.messages, done.error().text);
    say_sent(context, options, contents, to, running.sent(), opened.overrides);
    if (!*done) return 128 + Interrupt::signal();
  }
  if (contents.damage) return std::unexpected(*contents.damage);
  return 0;
}

} // namespace

void add_replay_command(CLI::App& app, Context& context) {
  const auto options = std::make_shared<Options>();
  CLI::App& command =
      add_command(app, "replay", "Send the messages of a recording to a plugin once more");
  command.add_option("FILE", options->file, "What plugctl record wrote")->required();
  command.add_option("--to", options->to, "Another plugin than the one that received them");
  command.add_option("--speed", options->speed, "as-recorded, max, or a factor");
  command.add_flag("--dry-run", options->dry_run, "Say what would be sent, and send nothing");
  command.add_flag("--partial", options->partial,
                   "Of a damaged recording, send what lies before the damage");
  command.callback([&context, options] {
    context.what = fmt::format("replay {}", options->file);
    context.run = [&context, options] { return replay(context, *options); };
  });
}

} // namespace mohhos::plugctl
