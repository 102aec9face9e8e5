// record: what one plugin receives from another, into a file, while they go on at their own pace.
//
// The receiving process copies each message into a ring of ours and never waits for us: what we are
// too slow for is missing, and the file says exactly where and how many.
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <memory>
#include <unistd.h>

#include "ipc/recording.hpp"
#include "ipc/tap.hpp"
#include "monitor/logs.hpp"
#include "plugctl_endpoint.hpp"
#include "plugctl_json.hpp"
#include "sys/file.hpp"

namespace mohhos::plugctl {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kPatience = 10s;
constexpr std::size_t kBuffer = 1 << 20; // written when it is full, and when nothing comes
constexpr auto kFlushAfter = 200ms;
constexpr auto kLastLook = 500ms; // for what lies in our ring when the recording ends

struct Options {
  std::string channel;
  std::string file;
  std::uint64_t count = 0;
  std::string duration;
};

Monotonic now() {
  return std::chrono::steady_clock::now();
}

// "7", "reader:tokenizer" or "reader→tokenizer". [pure]
Result<v1::TapChannelRequest> parse_channel(const std::string& text) {
  v1::TapChannelRequest request;
  std::uint64_t id = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, id);
  if (error == std::errc() && stop == end && id != 0) {
    request.set_channel(id);
    return request;
  }
  for (const std::string_view between : {std::string_view(":"), std::string_view("→")}) {
    const std::size_t at = text.find(between);
    if (at == std::string::npos || at == 0 || at + between.size() == text.size()) continue;
    request.set_sender(text.substr(0, at));
    request.set_receiver(text.substr(at + between.size()));
    return request;
  }
  return fail(Code::Invalid,
              "'{}' is no channel: give its number (plugctl channels) or sender:receiver",
              monitor::escape_controls(text));
}

// The file, and what is not in it yet.
class Recorder {
public:
  [[nodiscard]] static Result<Recorder> create(const std::string& path) {
    // The messages are as secret as the plugins' own.
    sys::Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!file && errno == EEXIST) return fail(Code::Exists, "{} is there already", path);
    // (Not found is a plugin, once the daemon was asked.)
    if (!file) return fail(Code::Failed, "making {}: {}", path, std::strerror(errno));
    return Recorder(std::move(file), path);
  }
  void begin(const ipc::Recording& recording) { ipc::put_recording_head(buffer_, recording); }
  // A message of a tap channel of ours.
  [[nodiscard]] Result<> take(const ipc::Message& message) {
    ipc::TapHeader header;
    if (message.payload.size() < sizeof header)
      return fail(Code::Malformed, "the receiver's copies make no sense: {} bytes",
                  message.payload.size());
    std::memcpy(&header, message.payload.data(), sizeof header);
    if (const auto good = ipc::check_tap_header(header); !good)
      return fail(Code::Malformed, "the receiver's copies make no sense: one {}",
                  good.error().text);
    told_[message.channel] += header.missed;
    if (header.missed != 0) put_gap({.channel = header.channel, .missed = header.missed});
    ipc::put_recorded_message(buffer_, header, message.payload.subspan(sizeof header));
    ++end_.messages;
    if (buffer_.size() < kBuffer) return {};
    return flush();
  }
  void put_gap(const ipc::RecordedGap& gap) {
    ipc::put_recorded_gap(buffer_, gap);
    end_.missed += gap.missed;
  }
  // What this ring of copies had no room for, beyond what its copies have told. At the end of the
  // recording, or when the process that made the copies has ended: what it would have told with its
  // next one.
  void settle(ChannelId copies, std::uint64_t dropped) {
    const std::uint64_t told = std::exchange(told_[copies], std::max(told_[copies], dropped));
    if (dropped > told) put_gap({.channel = 0, .missed = dropped - told});
  }
  [[nodiscard]] Result<> flush() {
    const std::string_view bytes(reinterpret_cast<const char*>(buffer_.data()), buffer_.size());
    if (auto written = sys::write_all(file_.get(), bytes); !written)
      return std::unexpected(std::move(written).error().within("writing " + path_));
    buffer_.clear();
    return {};
  }
  [[nodiscard]] Result<> finish() {
    ipc::put_recorded_end(buffer_, end_);
    TRY(flush());
    if (::fsync(file_.get()) != 0) return fail_errno("writing " + path_);
    return {};
  }
  [[nodiscard]] const ipc::RecordedEnd& so_far() const { return end_; }

private:
  Recorder(sys::Fd file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}
  sys::Fd file_;
  std::string path_;
  std::vector<std::byte> buffer_;
  std::map<ChannelId, std::uint64_t> told_; // by ring of copies
  ipc::RecordedEnd end_;
};

// One message; whether there was one.
Result<bool> record_one(ipc::Endpoint& endpoint, Recorder& recorder, Monotonic until) {
  TRY(const auto message, endpoint.receive(until));
  if (!message) return false;
  Result<> taken{};
  if (endpoint.lane(message->channel) == ipc::Lane::Tap) taken = recorder.take(*message);
  endpoint.release(*message);
  TRY(std::move(taken));
  return true;
}

Result<> record_until_the_end(ipc::Endpoint& endpoint, Recorder& recorder, const Options& options,
                              Monotonic end) {
  while (Interrupt::signal() == 0 && now() < end &&
         (options.count == 0 || recorder.so_far().messages < options.count)) {
    TRY(const bool one, record_one(endpoint, recorder, std::min(end, now() + kFlushAfter)));
    if (!one) TRY(recorder.flush());
  }
  return {};
}

// What lies in our rings still, and what had no room in them: the numbers are read first, so that
// the copies that tell of a part of it are all counted. Also when the daemon is gone.
// Not when the last of --count is here: it told of what was missed before it.
Result<> settle(ipc::Endpoint& endpoint, Recorder& recorder, const Options& options) {
  const auto full = [&] {
    return options.count != 0 && recorder.so_far().messages >= options.count;
  };
  if (full()) return {};
  const auto missed = endpoint.missed_copies();
  const Monotonic until = now() + kLastLook;
  while (now() < until && !full()) {
    const auto one = record_one(endpoint, recorder, ipc::kNoWait);
    if (!one && one.error().code != Code::Unreachable) return std::unexpected(one.error());
    if (!one || !*one) break;
  }
  for (const auto& copies : missed) recorder.settle(copies.channel, copies.missed);
  return {};
}

void say_end(const Context& context, const Options& options, const ipc::RecordedEnd& end) {
  if (context.json()) {
    Json json = envelope();
    json["file"] = options.file;
    json["messages"] = end.messages;
    json["missed"] = end.missed;
    print_json(json);
  } else if (!context.quiet) {
    fmt::print("{} messages in {}{}\n", end.messages, options.file,
               end.missed == 0 ? "" : fmt::format(", and {} missed", end.missed));
  }
}

Result<int> record(const Context& context, const Options& options) {
  TRY(v1::TapChannelRequest request, parse_channel(options.channel));
  Monotonic end = ipc::kForever;
  if (!options.duration.empty()) {
    TRY(const auto duration, parse_duration("--duration", options.duration));
    end = now() + duration;
  }
  TRY(const api::Timeout timeout, context.timeout(kPatience));
  TRY(Connection connection, open_endpoint(context, timeout, "recorder"));
  TRY(const Interrupt interrupt, Interrupt::open(*connection.endpoint));
  request.set_recorder(connection.id.value);
  // Before the file is made: what may not be recorded leaves none behind.
  const ipc::Recording begun{.sender = {},
                             .receiver = {},
                             .begun_us = static_cast<std::uint64_t>(
                                 std::chrono::duration_cast<std::chrono::microseconds>(
                                     std::chrono::system_clock::now().time_since_epoch())
                                     .count()),
                             .begun_ns = monotonic_ns()};
  TRY(const auto tap,
      connection.client.call<v1::TapChannelResponse>(api::Method::TapChannel, request, timeout));
  TRY(Recorder recorder, Recorder::create(options.file));
  recorder.begin({tap.sender(), tap.receiver(), begun.begun_us, begun.begun_ns});
  connection.endpoint->on_ended([&recorder](const ipc::Ended& ended) {
    if (ended.missed != 0) recorder.settle(ended.channel, ended.missed);
  });
  if (!context.quiet && !context.json())
    fmt::print(stderr, "recording {} → {} ({} of its channels open) into {}; ^C ends it\n",
               tap.sender(), tap.receiver(), tap.channels_size(), options.file);
  const auto done = record_until_the_end(*connection.endpoint, recorder, options, end);
  if (done || done.error().code == Code::Unreachable) { // then what we have is whole all the same
    TRY(settle(*connection.endpoint, recorder, options));
  }
  TRY(recorder.finish());
  TRY(done);
  say_end(context, options, recorder.so_far());
  return 0;
}

} // namespace

void add_record_command(CLI::App& app, Context& context) {
  const auto options = std::make_shared<Options>();
  CLI::App& command = add_command(app, "record", "Write what comes on a channel into a file");
  command
      .add_option("CHANNEL", options->channel,
                  "Its number, or SENDER:RECEIVER (plugins, or 'application')")
      ->required();
  command.add_option("FILE", options->file, "A new file")->required();
  command.add_option("--count", options->count, "End after so many messages")
      ->check(at_least_one());
  command.add_option("--duration", options->duration, "End after this time: 10s, 5m");
  command.callback([&context, options] {
    context.what = fmt::format("record {}", options->channel);
    context.run = [&context, options] { return record(context, *options); };
  });
}

} // namespace mohhos::plugctl
