// Death at any moment, in the whole path: two plugins under full load, and one or the other (or
// both) dies, of SIGKILL from outside or of what plugins die of by themselves, over and over. What
// was sent comes, once, in order on each lane, and again only where it is flagged, at most one for
// each death.
//
//   loss [SECONDS [SEED]]     0: as many deaths as ctest has time for
#include <random>
#include <stdexcept>

#include <csignal>
#include <poll.h>

#include "stream.hpp"
#include "sys/process.hpp"

namespace mohhos::soak {
namespace {

constexpr std::uint64_t kFewDeaths = 30;
constexpr std::uint64_t kLargest = 60'000;

enum class How : std::uint8_t { Kill, Segv, Abort, Memory };
constexpr std::array<const char*, 4> kHowTexts = {"SIGKILL", "SIGSEGV", "abort", "memory limit"};

// One of the two plugins, as a victim.
class Victim {
public:
  Victim(Stream& stream, const char* name, Part& part) : stream_(stream), name_(name), part_(part) {
    known_ = part.life.get();
  }

  // The process that runs now, or begins to; false: there is none, or it is not ours to signal.
  bool kill_from_outside() {
    const auto info = stream_.info(name_);
    if (info.pid() <= 0 || info.generation() <= dead_) return false;
    const auto process = sys::open_pidfd(info.pid());
    if (!process) return false;
    const std::uint64_t now = now_ns();
    if (!sys::send_signal(process->get(), SIGKILL)) return false;
    dead_ = info.generation();
    died_at_ = now;
    ordered_ = false;
    return true;
  }

  void order(Death death, Place place) {
    part_.order.set(order_of(death, place));
    stream_.wait_for("an ordered death", [&] { return part_.order.get() == 0; });
    dead_ = part_.life.get();
    ordered_ = true;
  }

  void remember() { known_ = part_.life.get(); }
  // Whether a process after the remembered one has come so far that a message went through.
  [[nodiscard]] std::uint64_t talks_at() const {
    const std::uint64_t now = part_.life.get();
    if (now <= known_) return 0;
    if (&part_ == &stream_.ledger().sink) return part_.talks.get();
    const Series* const series = stream_.ledger().series[now];
    return series[0].first_at.get() != 0 ? series[0].first_at.get() : series[1].first_at.get();
  }
  [[nodiscard]] std::uint64_t died_at() const { return ordered_ ? part_.died_at.get() : died_at_; }
  void wait_until_it_talks() {
    stream_.wait_for("a message after a death", [&] { return talks_at() != 0; });
  }

private:
  Stream& stream_;
  const char* name_;
  Part& part_;
  std::uint64_t known_ = 0;
  std::uint64_t died_at_ = 0;
  bool ordered_ = false;
  std::uint64_t dead_ = 0; // the latest life that was ended
};

struct Tally {
  std::uint64_t deaths = 0;
  std::uint64_t of_source = 0;
  std::uint64_t of_sink = 0;
  std::array<std::uint64_t, 4> by{};
  std::uint64_t while_beginning = 0;
  std::vector<double> source_ms; // from a death to the first message of the next life
  std::vector<double> sink_ms;
};

class Killer {
public:
  Killer(Stream& stream, std::uint64_t seed)
      : stream_(stream), random_(seed), source_(stream, "soak_source", stream.ledger().source),
        sink_(stream, "soak_sink", stream.ledger().sink) {}

  // One death, or two at a time, at some moment of the next 20 ms.
  void round() {
    ::poll(nullptr, 0, static_cast<int>(below(20)));
    const std::uint64_t who = below(8);
    source_.remember();
    sink_.remember();
    const bool source_dies = who < 4 && kill(source_);
    const bool sink_dies = (who == 0 || who >= 4) && kill(sink_);
    if (below(8) == 0) kill_again(source_dies ? source_ : sink_);
    if (source_dies) note(source_, tally_.source_ms);
    if (sink_dies) note(sink_, tally_.sink_ms);
  }
  [[nodiscard]] Tally& tally() { return tally_; }

private:
  std::uint64_t below(std::uint64_t bound) {
    return std::uniform_int_distribution<std::uint64_t>(0, bound - 1)(random_);
  }

  bool kill(Victim& victim) {
    const auto how = static_cast<How>(below(6) % 4); // SIGKILL and SIGSEGV twice as often
    if (how == How::Kill) {
      if (!victim.kill_from_outside()) return false;
    } else {
      victim.order(static_cast<Death>(how), static_cast<Place>(below(3)));
    }
    count(victim, how);
    return true;
  }

  // As soon as there is a process again, which is hardly begun.
  void kill_again(Victim& victim) {
    const auto until = Clock::now() + std::chrono::milliseconds(below(100));
    while (Clock::now() < until) {
      if (!victim.kill_from_outside()) continue;
      count(victim, How::Kill);
      ++tally_.while_beginning;
      return;
    }
  }

  void count(const Victim& victim, How how) {
    ++tally_.deaths;
    ++(&victim == &source_ ? tally_.of_source : tally_.of_sink);
    ++tally_.by[static_cast<std::size_t>(how)];
  }

  void note(Victim& victim, std::vector<double>& times) {
    victim.wait_until_it_talks();
    const std::uint64_t talks = victim.talks_at();
    if (talks > victim.died_at())
      times.push_back(static_cast<double>(talks - victim.died_at()) / 1e6);
  }

  Stream& stream_;
  std::mt19937_64 random_;
  Victim source_;
  Victim sink_;
  Tally tally_;
};

int run(double seconds, std::uint64_t seed) {
  Report report("loss");
  fmt::print(stderr, "loss: seed {}\n", seed);
  Stream stream(kLargest, 0);
  Killer killer(stream, seed);
  Tally& tally = killer.tally();
  const auto until = Clock::now() + std::chrono::duration<double>(seconds);
  while (tally.deaths < kFewDeaths || Clock::now() < until) killer.round();
  stream.drain();

  const auto source = stream.info("soak_source");
  const auto sink = stream.info("soak_sink");
  const Stream::Totals totals = stream.judge(report);
  const std::uint64_t redelivered = stream.ledger().redelivered.get();
  const std::uint64_t restarts = std::uint64_t{source.restarts()} + sink.restarts();
  report.zero("redelivered messages beyond one for each death",
              redelivered - std::min(redelivered, tally.of_sink), tally.of_sink,
              "deaths of the sink");
  report.zero("restarts that nobody ordered, or that are missing",
              restarts > tally.deaths ? restarts - tally.deaths : tally.deaths - restarts,
              tally.deaths, "deaths");
  if (restarts != tally.deaths)
    report.note(fmt::format("{} restarts of the source after {} deaths, {} of the sink after {}",
                            source.restarts(), tally.of_source, sink.restarts(), tally.of_sink));
  for (std::size_t i = 0; i < kHowTexts.size(); ++i)
    report.figure(fmt::format("of {}", kHowTexts[i]), static_cast<double>(tally.by[i]), "deaths");
  report.figure("while it was being begun again", static_cast<double>(tally.while_beginning),
                "deaths");
  report.figure("redelivered, flagged", static_cast<double>(redelivered), "messages");
  report.figure("sent by a process that died before it could note it",
                static_cast<double>(totals.in_hand), "messages");
  report.figure("sent", static_cast<double>(totals.sent), "messages");
  report.figure("received", static_cast<double>(stream.ledger().bytes.get()) / 1e6, "MB");
  report.figure("source's death to its successor's first message, median",
                percentile(tally.source_ms, 0.5), "ms");
  report.figure("source's death to its successor's first message, p99",
                percentile(tally.source_ms, 0.99), "ms");
  report.figure("sink's death to its successor's first message, median",
                percentile(tally.sink_ms, 0.5), "ms");
  report.figure("sink's death to its successor's first message, p99",
                percentile(tally.sink_ms, 0.99), "ms");
  report.figure("seed", static_cast<double>(seed), "");
  if (const std::string left = stream.daemon().stop(); !left.empty()) report.note(left);
  return report.finish();
}

} // namespace
} // namespace mohhos::soak

int main(int argc, char** argv) {
  return mohhos::soak::run_with_seed("loss", argc, argv, mohhos::soak::run);
}
