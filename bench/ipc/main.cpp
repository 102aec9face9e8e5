// `tools/bench ipc`: the data plane beside its limits and its peers, all of it in one run. Writes
// JSON; tools/bench_ipc.py makes the table and the charts of it.
//   ipc [--json FILE] [--seconds N] [GROUP…]
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "alone.hpp"
#include "limits.hpp"
#include "machine.hpp"
#include "ours.hpp"
#include "pair.hpp"
#include "peers.hpp"
#include "taps.hpp"

namespace mohhos::bench {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr std::uint32_t kMegabyte = 1 << 20;
constexpr std::uint64_t kSmallRing = kMegabyte / 4;

Row row(std::string name, std::unique_ptr<Contestant> contestant, std::size_t size = 64) {
  Row made{.name = std::move(name), .contestant = std::move(contestant), .size = size};
  if (!made.contestant) made.absent = "not built";
  return made;
}

Group spinning() {
  Group group{.name = "spinning", .kind = Kind::Latency, .slice = 2ms, .rows = {}};
  const auto add = [&](const char* name, auto contestant) {
    group.rows.push_back(row(name, std::move(contestant)));
  };
  add("cache line", make<CacheLine>());
  add("plain ring 64", make<HeadTailRing<64>>());
  add("lap ring 64", make<LapRing<64>>());
  add("lap ring 64, with time", make<LapRing<64, Headed<64, 1>>>());
  add("lap ring 48", make<LapRing<48>>());
  add("ring 64", make<OurRing<64>>());
  add("ring 48", make<OurRing<48>>());
  add("ring 64, receiver not looked at", make<OurRing<64, Wait::Spin, Publish::Unlooked>>());
  add("ring 64, untouched", make<OurUntouched>(64U));
  add("ring 1 MB, untouched", make<OurUntouched>(kMegabyte));
  add("ring 64, 50 µs of spinning", make<OurRing<64, Wait::SpinAWhile>>());
  add("endpoint 64", make<OurEndpoint<64>>(kNeverSleeps));
  add("endpoint 64, 50 µs of spinning", make<OurEndpoint<64>>(kSpinsAWhile));
  return group;
}

Group asleep() {
  Group group{.name = "asleep", .kind = Kind::Latency, .slice = 5ms, .rows = {}};
  const auto add = [&](const char* name, auto contestant) {
    group.rows.push_back(row(name, std::move(contestant)));
  };
  using SleepingRing = OurRing<64, Wait::Sleep>;
  add("futex, same core", make_same_core<BareFutex>());
  add("eventfd, same core", make_same_core<BareEventFd>());
  add("ring, same core", make_same_core<SleepingRing>());
  add("endpoint, same core", make_same_core<OurEndpoint<64>>(kSleepsAtOnce));
  add("futex, two cores", make<BareFutex>());
  add("eventfd, two cores", make<BareEventFd>());
  add("ring, two cores", make<SleepingRing>());
  add("endpoint, two cores", make<OurEndpoint<64>>(kSleepsAtOnce));
  return group;
}

Group flow() {
  Group group{.name = "flow", .kind = Kind::Flow, .slice = 3ms, .rows = {}};
  const auto add = [&](const char* name, auto contestant) {
    group.rows.push_back(row(name, std::move(contestant)));
  };
  add("plain ring", make<HeadTailRing<64>>());
  add("plain ring, batched", make<HeadTailRing<64, 16>>());
  add("plain ring, both indices cached", make<HeadTailRing<64, 1, true>>());
  add("plain ring, with header and time", make<HeadTailRing<64, 1, false, Headed<64>>>());
  add("lap ring", make<LapRing<64>>());
  add("lap ring, with time", make<LapRing<64, Headed<64, 1>>>());
  add("ring", make<OurRing<64>>());
  add("ring 48", make<OurRing<48>>());
  add("ring, receiver not looked at", make<OurRing<64, Wait::Spin, Publish::Unlooked>>());
  add("ring, batched", make<OurRing<64, Wait::Spin, Publish::Batch>>());
  add("ring of 256 KB", make<OurRing<64>>(kSmallRing));
  add("ring of 256 KB, batched", make<OurRing<64, Wait::Spin, Publish::Batch>>(kSmallRing));
  add("ring, sleeps after 50 µs", make<OurRing<64, Wait::SpinAWhile>>());
  add("ring, batched, sleeps after 50 µs", make<OurRing<64, Wait::SpinAWhile, Publish::Batch>>());
  add("ring, receiver sleeps", make<OurRing<64, Wait::Sleep>>());
  add("ring, batched, receiver sleeps", make<OurRing<64, Wait::Sleep, Publish::Batch>>());
  add("endpoint", make<OurEndpoint<64>>(kSpinsAWhile));
  add("endpoint, batched", make<OurEndpoint<64, Publish::Batch>>(kSpinsAWhile));
  add("endpoint, receiver sleeps", make<OurEndpoint<64>>(kSleepsAtOnce));
  add("endpoint, batched, receiver sleeps", make<OurEndpoint<64, Publish::Batch>>(kSleepsAtOnce));
  return group;
}

Group taps() {
  Group group{.name = "taps", .kind = Kind::Flow, .slice = 3ms, .rows = {}};
  group.rows.push_back(row("never recorded", make<OurTapped<64, Recording::Never>>()));
  group.rows.push_back(row("recorded once", make<OurTapped<64, Recording::Once>>()));
  group.rows.push_back(row("being recorded", make<OurTapped<64, Recording::Now>>()));
  return group;
}

Group distribution(Waiting waiting) {
  const bool spins = waiting == Waiting::Spins;
  Group group{.name = spins ? "distribution, spinning" : "distribution, asleep",
              .kind = Kind::Distribution,
              .slice = 10ms,
              .rows = {}};
  group.rows.push_back(
      row("mohhos", make<OurSized>(std::size_t{64}, spins ? kNeverSleeps : kSleepsAtOnce)));
  for (const Peer& peer : peers())
    if (!spins || peer.can_spin)
      group.rows.push_back(row(peer.name, peer.make ? peer.make(64, waiting) : nullptr));
  return group;
}

constexpr std::array<std::size_t, 5> kSizes = {64, 1 << 10, 16 << 10, 256 << 10, kMegabyte};

// Each peer as it is fastest in a flow: ZeroMQ's and the kernel's own waiting, iceoryx's polling.
Group sizes() {
  Group group{.name = "sizes", .kind = Kind::Flow, .slice = 10ms, .rows = {}};
  for (const std::size_t size : kSizes) {
    group.rows.push_back(row("mohhos", make<OurSized>(size, kSpinsAWhile), size));
    for (const Peer& peer : peers()) {
      const Waiting waiting =
          std::string_view(peer.name) == "iceoryx" ? Waiting::Spins : Waiting::Sleeps;
      group.rows.push_back(row(peer.name, peer.make ? peer.make(size, waiting) : nullptr, size));
    }
  }
  return group;
}

json to_json(const Group& group) {
  json rows = json::array();
  for (const Row& one : group.rows) {
    json line = {{"name", one.name}, {"size", one.size}, {"values", one.values}};
    if (!one.absent.empty()) line["absent"] = one.absent;
    if (one.histogram.total() != 0) {
      line["p50"] = one.histogram.at(0.5);
      line["p99"] = one.histogram.at(0.99);
      line["p999"] = one.histogram.at(0.999);
      line["count"] = one.histogram.total();
      line["buckets"] = one.histogram.buckets();
    }
    rows.push_back(std::move(line));
  }
  return rows;
}

json to_json(const std::vector<FanResult>& fans) {
  json rows = json::array();
  for (const FanResult& fan : fans)
    rows.push_back({{"name", fan.name},
                    {"active", fan.active},
                    {"channels", fan.channels},
                    {"alone", fan.alone},
                    {"among_idle", fan.among_idle},
                    {"absent", fan.absent}});
  return rows;
}

struct Options {
  std::string file;
  double seconds = 60;
  std::vector<std::string_view> groups;
  [[nodiscard]] bool wants(std::string_view name) const {
    return groups.empty() || std::ranges::any_of(groups, [&](std::string_view word) {
             return name.find(word) != std::string_view::npos;
           });
  }
};

Options read_options(int count, char** words) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string_view word = words[i];
    if (word == "--json" && i + 1 < count)
      options.file = words[++i];
    else if (word == "--seconds" && i + 1 < count)
      options.seconds = std::max(1.0, std::atof(words[++i]));
    else
      options.groups.push_back(word);
  }
  return options;
}

// Shares of the time; what is alone in its process takes the rest.
struct Share {
  Group group;
  double share;
};

int run(const Options& options) {
  rlimit files{}; // thousands of channels at once
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);

  json result;
  result["machine"] = machine_facts();
  json missing = json::array();
  for (const Peer& peer : peers())
    if (peer.make == nullptr) missing.push_back({{"peer", peer.name}, {"packages", peer.packages}});
  result["missing"] = std::move(missing);

  const auto part = [&](double share) {
    return std::chrono::milliseconds(static_cast<int>(options.seconds * 1000 * share));
  };
  if (options.wants("idle memory")) { // first: nothing else has touched the heap yet
    const IdleMemory idle = measure_idle_memory();
    result["idle_memory"] = {{"channels", idle.channels},        {"ring_kib", idle.ring_kib},
                             {"heap_kib", idle.heap_kib},        {"tables_kib", idle.tables_kib},
                             {"kernel_kib", idle.kernel_kib},    {"total_kib", idle.total()},
                             {"returned_kib", idle.returned_kib}};
  }
  {
    std::vector<Group> groups;
    std::vector<double> shares;
    const auto add = [&](auto make_group, std::string_view name, double share) {
      if (!options.wants(name)) return;
      groups.push_back(make_group());
      shares.push_back(share);
    };
    add(spinning, "spinning", 0.15);
    add(asleep, "asleep", 0.15);
    add(flow, "flow", 0.15);
    add(taps, "taps", 0.05);
    add([] { return distribution(Waiting::Spins); }, "distribution", 0.1);
    add([] { return distribution(Waiting::Sleeps); }, "distribution", 0.15);
    add(sizes, "sizes", 0.2);
    if (!groups.empty()) {
      Pair pair(groups);
      for (std::size_t i = 0; i < groups.size(); ++i) pair.run(groups[i], part(shares[i]));
    }
    for (const Group& group : groups) result["groups"][group.name] = to_json(group);
  }
  if (options.wants("fan")) {
    std::fprintf(stderr, "fan\n");
    result["fan"] = to_json(measure_fans(part(0.1)));
  }
  if (options.wants("parts"))
    for (const Part& one : measure_parts())
      result["parts"].push_back({{"name", one.name}, {"ns", one.ns}});

  if (options.file.empty()) {
    std::printf("%s\n", result.dump().c_str());
    return 0;
  }
  std::ofstream out(options.file);
  out << result.dump(1) << "\n";
  return out.good() ? 0 : 1;
}

} // namespace
} // namespace mohhos::bench

// Services end after the processes that use them, and some end those with them (RouDi does): so the
// measuring is a child's, and this process only waits.
int main(int count, char** words) {
  const mohhos::bench::PeerServices services;
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  mohhos::bench::require(child >= 0, "fork");
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    std::exit(mohhos::bench::run(mohhos::bench::read_options(count, words)));
  }
  int status = 0;
  mohhos::bench::require(::waitpid(child, &status, 0) == child, "waitpid");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
