// bench: how fast a plugin takes messages and answers requests, from here, over the same shared
// memory as between plugins.
#include <algorithm>
#include <memory>
#include <vector>

#include "base/fast_clock.hpp"
#include "plugctl_endpoint.hpp"
#include "plugctl_json.hpp"

namespace mohhos::plugctl {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kPatience = 60s;
constexpr std::chrono::milliseconds kProbe = 1s;
constexpr std::uint64_t kMostMessages = 100'000'000;
constexpr std::uint32_t kLargest = 1U << 29; // a ring of 1 GiB takes it
constexpr auto kLook = 100ms; // whether somebody interrupts us, when the ring is full

struct Options {
  std::string plugin;
  std::uint32_t size = 64;
  std::uint64_t count = 100'000;
  std::uint32_t pipeline = 1;
  bool one_way = false;
};

struct Figures {
  bool one_way = false;
  std::uint64_t messages = 0;
  std::uint64_t failed = 0; // the plugin answered 'no'
  std::uint64_t took_ns = 0;
  std::vector<std::uint64_t> round_trips{}; // ns, sorted

  [[nodiscard]] std::uint64_t percentile(std::uint64_t thousandths) const {
    if (round_trips.empty()) return 0;
    return round_trips[(round_trips.size() - 1) * thousandths / 1000];
  }
  [[nodiscard]] double per_second() const {
    return took_ns == 0 ? 0 : static_cast<double>(messages) * 1e9 / static_cast<double>(took_ns);
  }
};

Error interrupted() {
  return {Code::Cancelled, "interrupted"};
}

// One message, that waits for room until the deadline or an interrupt. `look`: when to look for
// that next; the clock is not read for each message.
Result<> send_one(ipc::Endpoint& endpoint, ChannelId channel, std::span<const std::byte> payload,
                  Monotonic deadline, Monotonic& look) {
  for (;;) {
    const auto sent = endpoint.send(channel, {.type = ipc::MessageType::Custom}, payload,
                                    std::min(deadline, look));
    if (Interrupt::signal() != 0) return std::unexpected(interrupted());
    if (sent) return {};
    const Monotonic now = std::chrono::steady_clock::now();
    if (sent.error().code != Code::TimedOut || now >= deadline)
      return std::unexpected(sent.error());
    look = now + kLook;
  }
}

// Whether the plugin answers requests at all; 'no' is an answer.
Result<bool> answers(ipc::Endpoint& endpoint, ChannelId channel,
                     std::span<const std::byte> payload) {
  const auto answer = endpoint.call_and_wait(channel, {.type = ipc::MessageType::DataRequest},
                                             payload, std::chrono::steady_clock::now() + kProbe);
  if (answer || answer.error().code == Code::PluginFailed) return true;
  if (answer.error().code == Code::TimedOut) return false;
  return std::unexpected(answer.error());
}

Result<Figures> measure_round_trips(ipc::Endpoint& endpoint, ChannelId channel,
                                    const Options& options, std::span<const std::byte> payload,
                                    Monotonic deadline) {
  Figures figures{.messages = options.count};
  figures.round_trips.reserve(options.count);
  std::optional<Error> broken;
  std::uint32_t under_way = 0;
  FastClock clock;
  const auto ask = [&]() -> Result<> {
    const std::uint64_t begin = clock.now();
    ++under_way;
    TRY(endpoint.call(channel, {.type = ipc::MessageType::DataRequest}, payload, deadline,
                      [&, begin](Result<const ipc::Message*> got) {
                        --under_way;
                        endpoint.interrupt(); // the next request goes out at once
                        figures.round_trips.push_back(clock.now() - begin);
                        if (got) return;
                        if (got.error().code == Code::PluginFailed)
                          ++figures.failed;
                        else
                          broken = got.error();
                      }));
    return {};
  };
  const std::uint64_t begin = clock.now();
  for (std::uint64_t asked = 0; figures.round_trips.size() < options.count;) {
    while (under_way < options.pipeline && asked < options.count) {
      TRY(ask());
      ++asked;
    }
    TRY(const auto message, endpoint.receive(deadline));
    if (message) endpoint.release(*message);
    if (Interrupt::signal() != 0) return std::unexpected(interrupted());
    if (broken) return std::unexpected(*broken);
  }
  figures.took_ns = clock.now() - begin;
  std::ranges::sort(figures.round_trips);
  return figures;
}

Result<Figures> measure_one_way(ipc::Endpoint& endpoint, ChannelId channel, const Options& options,
                                std::span<const std::byte> payload, Monotonic deadline) {
  FastClock clock;
  const std::uint64_t begin = clock.now();
  Monotonic look = std::chrono::steady_clock::now() + kLook;
  for (std::uint64_t i = 0; i < options.count; ++i)
    TRY(send_one(endpoint, channel, payload, deadline, look));
  endpoint.flush();
  while (!endpoint.acknowledged(channel)) {
    if (Interrupt::signal() != 0) return std::unexpected(interrupted());
    if (std::chrono::steady_clock::now() >= deadline)
      return fail(Code::TimedOut, "not all messages were acknowledged in time");
    TRY(const auto message, endpoint.receive(std::chrono::steady_clock::now() + 100us));
    if (message) endpoint.release(*message);
  }
  if (!endpoint.peer(channel)) return fail(Code::PeerGone, "it ended before it took them all");
  return Figures{.one_way = true, .messages = options.count, .took_ns = clock.now() - begin};
}

void print_figures(const Context& context, const Options& options, const Figures& figures) {
  if (context.json()) {
    Json json = envelope();
    json["plugin"] = options.plugin;
    json["kind"] = figures.one_way ? "one-way" : "round-trip";
    json["size"] = options.size;
    json["pipeline"] = options.pipeline;
    json["messages"] = figures.messages;
    json["failed"] = figures.failed;
    json["took_ns"] = figures.took_ns;
    json["messages_per_s"] = figures.per_second();
    json["p50_ns"] = figures.percentile(500);
    json["p99_ns"] = figures.percentile(990);
    json["p999_ns"] = figures.percentile(999);
    json["max_ns"] = figures.percentile(1000);
    return print_json(json);
  }
  fmt::print("{} {} of {} in {}: {:.0f} a second\n", figures.messages,
             figures.one_way ? "messages" : "round trips", human_bytes(options.size),
             human_ns(figures.took_ns), figures.per_second());
  if (!figures.one_way)
    fmt::print("round trip: p50 {}, p99 {}, p99.9 {}, max {}\n", human_ns(figures.percentile(500)),
               human_ns(figures.percentile(990)), human_ns(figures.percentile(999)),
               human_ns(figures.percentile(1000)));
  if (figures.failed != 0) fmt::print("{} answers were refusals\n", figures.failed);
}

Result<int> bench(const Context& context, const Options& options) {
  if (options.count > kMostMessages)
    return fail(Code::Invalid, "--count {}: 1 to {}", options.count, kMostMessages);
  if (options.pipeline == 0) return fail(Code::Invalid, "--pipeline 0: at least 1");
  if (options.size > kLargest)
    return fail(Code::Invalid, "--size {}: at most {}", options.size, kLargest);
  TRY(const api::Timeout timeout, context.timeout(kPatience));
  const Monotonic deadline = std::chrono::steady_clock::now() + timeout.value_or(kPatience);
  TRY(Connection connection, open_endpoint(context, timeout));
  ipc::Endpoint& endpoint = *connection.endpoint;
  TRY(const Interrupt interrupt, Interrupt::open(endpoint));
  TRY(const ChannelId channel, open_channel(endpoint, options.plugin, deadline, options.size));
  const std::vector<std::byte> payload(options.size, std::byte{'x'});
  bool one_way = options.one_way;
  if (!one_way) {
    TRY(const bool answered, answers(endpoint, channel, payload));
    one_way = !answered;
    if (one_way && !context.quiet)
      fmt::print(stderr, "{} does not answer requests: one way\n", options.plugin);
  }
  const auto figures = one_way ? measure_one_way(endpoint, channel, options, payload, deadline)
                               : measure_round_trips(endpoint, channel, options, payload, deadline);
  if (Interrupt::signal() != 0) return 128 + Interrupt::signal();
  if (!figures) return std::unexpected(figures.error());
  print_figures(context, options, *figures);
  return 0;
}

} // namespace

void add_bench_command(CLI::App& app, Context& context) {
  const auto options = std::make_shared<Options>();
  CLI::App& command =
      add_command(app, "bench", "How fast a plugin answers requests, or takes messages");
  command.add_option("PLUGIN", options->plugin, "Name or id")->required();
  command.add_option("--size", options->size, "Bytes of a message (64)");
  command.add_option("--count", options->count, "Messages (100000)")->check(at_least_one());
  command.add_option("--pipeline", options->pipeline, "Requests under way at a time (1)");
  command.add_flag("--one-way", options->one_way, "Messages, not requests");
  command.callback([&context, options] {
    context.what = fmt::format("bench {}", options->plugin);
    context.run = [&context, options] { return bench(context, *options); };
  });
}

} // namespace mohhos::plugctl
