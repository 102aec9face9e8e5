// channels: every channel, with what its two ends have counted of themselves.
#include <map>
#include <memory>
#include <thread>

#include "monitor/logs.hpp"
#include "plugctl.hpp"
#include "plugctl_json.hpp"

namespace mohhos::plugctl {
namespace {

using namespace std::chrono_literals;

constexpr api::Timeout kPatience = 10s;
constexpr std::chrono::milliseconds kEvery = 1s;

struct Options {
  std::string end;
  bool watch = false;
  std::string every;
};

using Reading = v1::ListChannelsResponse;
using Clock = std::chrono::steady_clock;

// Messages a second since the reading before, by channel.
class Rates {
public:
  void take(const Reading& reading) {
    const auto now = Clock::now();
    const double seconds = std::chrono::duration<double>(now - at_).count();
    std::map<std::uint64_t, std::uint64_t> sent;
    rates_.clear();
    for (const auto& channel : reading.channels()) {
      const auto before = sent_.find(channel.id());
      if (before != sent_.end() && channel.sent() >= before->second)
        rates_[channel.id()] = static_cast<double>(channel.sent() - before->second) / seconds;
      sent[channel.id()] = channel.sent();
    }
    sent_ = std::move(sent);
    at_ = now;
  }
  [[nodiscard]] double of(std::uint64_t id) const {
    const auto found = rates_.find(id);
    return found == rates_.end() ? 0 : found->second;
  }

private:
  std::map<std::uint64_t, std::uint64_t> sent_;
  std::map<std::uint64_t, double> rates_;
  Clock::time_point at_ = Clock::now();
};

std::string end_name(const std::string& name, std::uint64_t id, bool application) {
  return application || name.empty() ? fmt::format("{}({})", name, id) : name;
}

std::string latency(std::uint64_t ns) {
  return ns == 0 ? "-" : "<" + human_ns(ns);
}

// What is in force; "none": asked for in vain, or nothing was sent yet.
std::string huge_pages(const v1::ChannelInfo& one) {
  if (one.huge_pages_unknown()) return "?";
  if (one.huge_page_bytes() != 0) return human_bytes(one.huge_page_bytes());
  return one.asks_huge_pages() ? "none" : "-";
}

std::vector<std::string> row(const v1::ChannelInfo& one) {
  const std::string from = end_name(one.sender(), one.sender_id(), one.from_application());
  const std::string to = end_name(one.receiver(), one.receiver_id(), one.to_application());
  return {fmt::format("{}{}", one.id(), one.doubt().empty() ? "" : "!"),
          fmt::format("{} → {}", from, to),
          one.lane(),
          human_bytes(one.ring_bytes()),
          huge_pages(one),
          std::to_string(one.sent()),
          std::to_string(one.acknowledged()),
          human_bytes(one.bytes()),
          fmt::format("{} ({})", one.depth(), human_bytes(one.depth_bytes())),
          human_bytes(one.high_water()),
          std::to_string(one.dropped()),
          std::to_string(one.redelivered()),
          std::to_string(one.expired()),
          std::to_string(one.memories()),
          std::to_string(one.sleeps()),
          std::to_string(one.wakeups()),
          latency(one.latency_p50_ns()),
          latency(one.latency_p99_ns()),
          latency(one.latency_p999_ns())};
}

void print_table(const Context& context, const Reading& reading, const Rates* rates) {
  std::vector<Table::Column> columns = {{"ID", Align::Right}, {"FROM → TO"}, {"LANE"}};
  for (const char* title :
       {"RING", "HUGE", "SENT", "ACKED", "BYTES", "DEPTH", "HIGH", "DROPS", "REDELIV", "EXPIRED",
        "MEMORIES", "SLEEPS", "WAKEUPS", "P50", "P99", "P99.9"})
    columns.push_back({title, Align::Right});
  if (rates != nullptr) columns.push_back({"MSG/S", Align::Right});
  Table table(std::move(columns));
  for (const auto& channel : reading.channels()) {
    auto cells = row(channel);
    if (rates != nullptr) cells.push_back(fmt::format("{:.0f}", rates->of(channel.id())));
    table.add(std::move(cells));
  }
  if (!reading.channels().empty() || !context.quiet) table.print(want_color(context.no_color));
  for (const auto& channel : reading.channels())
    if (!channel.doubt().empty())
      fmt::print("! channel {}: {}; its numbers are clamped to what can be\n", channel.id(),
                 monitor::escape_controls(channel.doubt()));
}

Json reading_json(const Reading& reading, const Rates* rates) {
  Json json = envelope();
  Json& channels = json["channels"] = Json::array();
  for (const auto& channel : reading.channels()) {
    channels.push_back(channel_json(channel));
    if (rates != nullptr) channels.back()["messages_per_s"] = rates->of(channel.id());
  }
  return json;
}

// Until --timeout, or for ever.
Result<int> watch(const Context& context, api::Client& client,
                  const v1::ListChannelsRequest& request, std::chrono::milliseconds every) {
  TRY(const api::Timeout timeout, context.timeout());
  const auto end = timeout ? Clock::now() + *timeout : Clock::time_point::max();
  Rates rates;
  for (;;) {
    TRY(const auto reading, client.call<Reading>(api::Method::ListChannels, request, kPatience));
    rates.take(reading);
    if (context.json()) {
      print_json_line(reading_json(reading, &rates));
    } else {
      if (want_color(false)) fmt::print("\x1b[H\x1b[2J"); // a terminal: always at its top
      print_table(context, reading, &rates);
    }
    TRY(flush_output());
    if (end - Clock::now() < every) return 0;
    std::this_thread::sleep_for(every);
  }
}

Result<int> channels(const Context& context, const Options& options) {
  std::chrono::milliseconds every = kEvery;
  if (!options.every.empty()) {
    TRY(every, parse_duration("--every", options.every));
  }
  v1::ListChannelsRequest request;
  if (!options.end.empty()) *request.mutable_end() = plugin_ref(options.end);
  TRY(api::Client client, context.connect());
  if (options.watch) return watch(context, client, request, every);
  TRY(const api::Timeout timeout, context.timeout(kPatience));
  TRY(const auto reading, client.call<Reading>(api::Method::ListChannels, request, timeout));
  if (context.json())
    print_json(reading_json(reading, nullptr));
  else
    print_table(context, reading, nullptr);
  return 0;
}

} // namespace

void add_channel_commands(CLI::App& app, Context& context) {
  const auto options = std::make_shared<Options>();
  CLI::App& command = add_command(
      app, "channels", "Who sends to whom: messages, depth, losses, sleeps and latency by channel");
  command.add_option("--plugin", options->end, "Only channels of this plugin (name or id)");
  CLI::Option* const watch =
      command.add_flag("--watch", options->watch, "Again and again, with messages a second");
  command.add_option("--every", options->every, "With --watch: how often (1s)")->needs(watch);
  command.callback([&context, options] {
    context.what = "channels";
    context.run = [&context, options] { return channels(context, *options); };
  });
}

} // namespace mohhos::plugctl
