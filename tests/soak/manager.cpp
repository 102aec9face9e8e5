// The manager is killed again and again under a stream of 120,000 messages a second: 0 lost, 0 out
// of order, no plugin begun again; and how much longer a message takes meanwhile.
//
//   manager [SECONDS [SEED]]     0: as many as ctest has time for
//
// Quiet seconds and seconds with kills take turns, so that what else the machine does falls upon
// both. Between them, right behind a kill, things are asked of the manager that is just beginning:
// a channel from an application, and a plugin that comes, opens a channel, and goes. And the
// manager dies at some moment of such an operation: its caller hears an outcome, and nothing is
// left of it.
#include <random>
#include <stdexcept>
#include <thread>

#include <csignal>
#include <poll.h>

#include "stream.hpp"
#include "sys/process.hpp"

namespace mohhos::soak {
namespace {

constexpr std::uint64_t kRate = 120'000;
constexpr std::uint64_t kLargest = 1024; // most messages are one line or two
constexpr std::uint64_t kFewKills = 10;
constexpr std::uint64_t kKillsInARow = 4;

constexpr int kNotFound = 4;   // of plugctl
constexpr int kTimedOut = 124; // of the harness: it did not come back

enum Window : std::uint64_t { kQuiet, kKilling, kUncounted };

struct Tally {
  std::uint64_t kills = 0;
  std::uint64_t operations = 0;
  std::uint64_t failed = 0;
  std::uint64_t interrupted = 0; // operations that a death came into
  std::uint64_t without_outcome = 0;
  std::uint64_t done_all_the_same = 0;
  double quiet_seconds = 0;
  double killing_seconds = 0;
  std::vector<double> replaced_ms; // from a death to the successor's first answer
};

class Killer {
public:
  Killer(Stream& stream, std::uint64_t seed)
      : stream_(stream), random_(seed), manager_(stream.status().manager_pid()) {}

  void strike() {
    const auto process = sys::open_pidfd(manager_);
    if (!process) throw std::runtime_error("the manager's pid: " + process.error().text);
    died_at_ = now_ns();
    if (auto sent = sys::send_signal(process->get(), SIGKILL); !sent)
      throw std::runtime_error(sent.error().text);
    ++tally_.kills;
  }
  void await_the_next() {
    stream_.wait_for("a new manager", [&] {
      const auto next = stream_.status().manager_pid();
      return next != manager_ && std::exchange(manager_, next) != next;
    });
  }

  void in_window(Window window, double& seconds, const std::function<void()>& what) {
    Ledger& ledger = stream_.ledger();
    ledger.window.set(window);
    const auto begun = Clock::now();
    what();
    seconds += std::chrono::duration<double>(Clock::now() - begun).count();
    ledger.window.set(kUncounted);
  }

  void round() {
    in_window(kKilling, tally_.killing_seconds, [&] {
      for (std::uint64_t i = 0; i < kKillsInARow; ++i) {
        strike();
        await_the_next();
        tally_.replaced_ms.push_back(static_cast<double>(now_ns() - died_at_) / 1e6);
      }
    });
    in_window(kQuiet, tally_.quiet_seconds, [&] {
      const auto as_long = tally_.killing_seconds - tally_.quiet_seconds;
      const auto until = Clock::now() + std::chrono::duration<double>(as_long);
      while (Clock::now() < until) ::poll(nullptr, 0, 10);
    });
    behind_a_death("a channel from outside", {"call", "soak_sink", "?"});
    strike();
    const test::Outcome loaded = stream_.try_load("soak_guest");
    note("a plugin that comes", loaded.code == 0 ? "" : loaded.err);
    await_the_next();
    behind_a_death("its channel", {"call", "soak_guest", "?"});
    in_the_middle([&] { return stream_.daemon().plugctl({"call", "soak_guest", "?"}); });
    behind_a_death("and goes", {"unload", "--force", "soak_guest"});
    in_the_middle([&] { return stream_.try_load("soak_guest"); });
    leave_no_guest();
  }
  [[nodiscard]] Tally& tally() { return tally_; }
  [[nodiscard]] const std::string& words() const { return words_; }

private:
  // Asked before there is a next one.
  void behind_a_death(const char* what, std::vector<std::string> arguments) {
    strike();
    const test::Outcome outcome = stream_.daemon().plugctl(std::move(arguments));
    note(what, outcome.code == 0 ? "" : outcome.err);
    await_the_next();
  }
  // The death comes within the first 50 ms of the operation, which may fail, but not hang.
  void in_the_middle(const std::function<test::Outcome()>& operation) {
    test::Outcome outcome;
    std::thread caller([&] { outcome = operation(); });
    ::poll(nullptr, 0, static_cast<int>(std::uniform_int_distribution<>(0, 50)(random_)));
    strike();
    caller.join();
    await_the_next();
    ++tally_.interrupted;
    if (outcome.code == 0) ++tally_.done_all_the_same;
    if (outcome.code == kTimedOut || outcome.code > 128) {
      ++tally_.without_outcome;
      words_ += outcome.err;
    }
  }
  // Whatever a load that was interrupted has left can be unloaded.
  void leave_no_guest() {
    std::string said;
    const bool gone = test::Daemon::eventually([&] {
      const test::Outcome outcome = stream_.daemon().plugctl({"unload", "--force", "soak_guest"});
      said = outcome.err;
      return outcome.code == kNotFound;
    });
    note("what an interrupted load has left", gone ? "" : said);
  }
  void note(const char* what, const std::string& said) {
    ++tally_.operations;
    if (said.empty()) return;
    ++tally_.failed;
    words_ += fmt::format("{}: {}", what, said);
  }

  Stream& stream_;
  std::mt19937_64 random_;
  std::int32_t manager_;
  std::uint64_t died_at_ = 0;
  Tally tally_;
  std::string words_;
};

std::string lives_of(Stream& stream) {
  std::string text;
  for (const char* name : {"soak_source", "soak_sink"}) {
    const auto info = stream.info(name);
    text += fmt::format("{} {} {} {} ", name, info.pid(), info.generation(), info.state());
  }
  return text;
}

int run(double seconds, std::uint64_t seed) {
  Report report("manager");
  fmt::print(stderr, "manager: seed {}\n", seed);
  Stream stream(kLargest, kRate);
  stream.ledger().window.set(kUncounted);
  const std::string before = lives_of(stream);
  Killer killer(stream, seed);
  Tally& tally = killer.tally();
  const auto until = Clock::now() + std::chrono::duration<double>(seconds);
  const auto begun = Clock::now();
  while (tally.kills < kFewKills || Clock::now() < until) killer.round();
  stream.drain();
  const double took = std::chrono::duration<double>(Clock::now() - begun).count();

  const std::string after = lives_of(stream);
  const Stream::Totals totals = stream.judge(report);
  const auto restarts = stream.info("soak_source").restarts() + stream.info("soak_sink").restarts();
  report.zero("plugin restarts", restarts, tally.kills, "deaths of the manager");
  if (after != before) report.note(fmt::format("{} became {}", before, after));
  report.zero("operations right behind a death that failed", tally.failed, tally.operations,
              "operations");
  report.zero("operations in the middle of a death without an outcome", tally.without_outcome,
              tally.interrupted, "operations");
  report.figure("of these, done all the same", static_cast<double>(tally.done_all_the_same),
                "operations");
  if (!killer.words().empty()) report.note(killer.words());

  const Ledger& ledger = stream.ledger();
  const Histogram& quiet = ledger.latency[kQuiet];
  const Histogram& killing = ledger.latency[kKilling];
  report.figure("messages per second", static_cast<double>(totals.received) / took, "1/s");
  report.figure("a manager's death to its successor's first answer, median",
                percentile(tally.replaced_ms, 0.5), "ms");
  report.figure("a manager's death to its successor's first answer, p99",
                percentile(tally.replaced_ms, 0.99), "ms");
  report.figure("quiet: messages", static_cast<double>(count_of(quiet)), "messages");
  report.figure("while managers die: messages", static_cast<double>(count_of(killing)), "messages");
  for (const auto& [part, name] :
       {std::pair{0.5, "median"}, std::pair{0.99, "p99"}, std::pair{0.999, "p99.9"}}) {
    const double calm = percentile(quiet, part) / 1e3;
    const double shaken = percentile(killing, part) / 1e3;
    report.figure(fmt::format("one way, quiet, {}", name), calm, "us");
    report.figure(fmt::format("one way, while managers die, {}", name), shaken, "us");
    if (calm > 0) report.figure(fmt::format("ratio, {}", name), shaken / calm, "");
  }
  report.figure("seed", static_cast<double>(seed), "");
  if (const std::string left = stream.daemon().stop(); !left.empty()) report.note(left);
  return report.finish();
}

} // namespace
} // namespace mohhos::soak

int main(int argc, char** argv) {
  return mohhos::soak::run_with_seed("manager", argc, argv, mohhos::soak::run);
}
