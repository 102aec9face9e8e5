// Many endpoints in one process, each in a thread of its own if it has something to do; the idle
// ones sleep in their epoll as an idle plugin does. Senders share one CPU, receivers another.
#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <thread>

#include <fmt/format.h>
#include <sys/resource.h>

#include "alone.hpp"
#include "ours.hpp"

namespace mohhos::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kMany = 50;
constexpr std::size_t kPayload = 64;
constexpr auto kSlice = std::chrono::milliseconds(20);

struct Link {
  int from = 0;
  int to = 0;
};

// Endpoints, their channels, and threads for those on an active channel.
class Fan {
public:
  Fan(const std::vector<Link>& channels, const std::vector<Link>& active) {
    for (const Link link : channels) {
      join(link.from);
      join(link.to);
      exchange_.open(id(link.from), id(link.to));
      // Descriptors on their way are limited: both take theirs at once.
      (void)endpoints_.at(link.from)->receive(ipc::kNoWait);
      (void)endpoints_.at(link.to)->receive(ipc::kNoWait);
    }
    active_ = static_cast<int>(active.size());
    std::map<int, std::vector<ChannelId>> sends;
    std::map<int, std::uint64_t> receives;
    for (const Link link : active) {
      const auto channel = endpoints_.at(link.from)->open_channel(id(link.to), ipc::kNoWait);
      require(channel.has_value(), "a channel of the fan");
      sends[link.from].push_back(*channel);
      ++receives[link.to];
    }
    for (auto& [endpoint, ids] : sends)
      threads_.emplace_back([this, end = endpoints_.at(endpoint).get(), ids] {
        pin_to(0);
        in_slices([&](std::uint64_t each) { send(*end, ids, each); });
      });
    for (auto& [endpoint, count] : receives)
      threads_.emplace_back([this, end = endpoints_.at(endpoint).get(), count] {
        pin_to(1);
        in_slices([&](std::uint64_t each) { receive(*end, each * count); });
      });
  }
  ~Fan() {
    ending_ = true;
    slice_.fetch_add(1);
    slice_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  Fan(const Fan&) = delete;
  Fan& operator=(const Fan&) = delete;

  // Messages per second over all active channels.
  double run() {
    working_.store(static_cast<int>(threads_.size()));
    const auto begin = Clock::now();
    slice_.fetch_add(1);
    slice_.notify_all();
    for (int left = working_.load(); left != 0; left = working_.load()) working_.wait(left);
    const std::chrono::duration<double> took = Clock::now() - begin;
    const double rate = static_cast<double>(each_) * active_ / took.count();
    const double factor = std::clamp(kSlice / took, 0.25, 4.0);
    each_ = std::max<std::uint64_t>(
        16, static_cast<std::uint64_t>(static_cast<double>(each_) * factor));
    return rate;
  }

private:
  static PluginId id(int number) { return PluginId{static_cast<std::uint64_t>(number) + 1}; }

  void join(int number) {
    auto& endpoint = endpoints_[number];
    if (endpoint) return;
    auto opened = ipc::Endpoint::open(exchange_.connect(id(number)), {});
    require(opened.has_value(), "Endpoint::open");
    endpoint = *std::move(opened);
  }
  template <class Work>
  void in_slices(Work work) {
    for (std::uint32_t done = 0;;) {
      slice_.wait(done);
      if (ending_) return;
      ++done;
      work(each_);
      if (working_.fetch_sub(1) == 1) working_.notify_all();
    }
  }
  static void send(ipc::Endpoint& endpoint, const std::vector<ChannelId>& channels,
                   std::uint64_t each) {
    for (std::uint64_t i = 0; i < each; ++i)
      for (const ChannelId channel : channels) {
        const auto space = endpoint.loan(channel, kPayload, {}, ipc::kForever);
        require(space.has_value(), "a loan of the fan");
        fill<kPayload>(space->data());
        endpoint.commit(channel);
      }
  }
  static void receive(ipc::Endpoint& endpoint, std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto message = endpoint.receive(ipc::kForever);
      require(message && *message, "a message of the fan");
      endpoint.release(**message);
    }
  }

  Exchange exchange_;
  std::map<int, std::unique_ptr<ipc::Endpoint>> endpoints_;
  std::vector<std::thread> threads_;
  int active_ = 0;
  std::uint64_t each_ = 1000; // messages of a slice for each channel; changes between slices only
  std::atomic<std::uint32_t> slice_ = 0;
  std::atomic<int> working_ = 0;
  std::atomic<bool> ending_ = false;
};

FanResult measure(std::string name, const std::vector<Link>& all, const std::vector<Link>& active,
                  std::chrono::milliseconds time) {
  FanResult result{.name = std::move(name),
                   .active = static_cast<int>(active.size()),
                   .channels = static_cast<int>(all.size()),
                   .alone = {},
                   .among_idle = {},
                   .absent = {}};
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_cur < 4 * all.size() + 500) {
    result.absent = fmt::format("ulimit -n is {}", files.rlim_cur);
    return result;
  }
  Fan alone(active, active);
  Fan among_idle(all, active);
  for (int i = 0; i < 3; ++i) { // until the slices have their length
    (void)alone.run();
    (void)among_idle.run();
  }
  const auto end = Clock::now() + time;
  for (int round = 0; round < 5 || Clock::now() < end; ++round) {
    result.alone.push_back(alone.run());
    result.among_idle.push_back(among_idle.run());
  }
  return result;
}

} // namespace

std::vector<FanResult> measure_fans(std::chrono::milliseconds time) {
  constexpr int kActive = 4;
  std::vector<Link> out;
  std::vector<Link> in;
  std::vector<Link> every;
  std::vector<Link> halves;
  for (int i = 0; i < kMany; ++i) {
    out.push_back({0, i + 1});
    in.push_back({i + 1, 0});
    for (int j = 0; j < kMany; ++j)
      if (i != j) every.push_back({i, j});
  }
  for (int i = 0; i < kMany / 2; ++i) halves.push_back({i, i + kMany / 2});
  const std::vector<Link> some_out(out.begin(), out.begin() + kActive);
  const std::vector<Link> some_in(in.begin(), in.begin() + kActive);
  const auto third = time / 3;
  std::vector<FanResult> results;
  results.push_back(measure("1 sender → 50 receivers", out, some_out, third));
  results.push_back(measure("50 senders → 1 receiver", in, some_in, third));
  results.push_back(measure("50 × 50, sparse", every, halves, third));
  return results;
}

} // namespace mohhos::bench
