#include "stream.hpp"

#include <algorithm>
#include <stdexcept>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mohhos::soak {

namespace {

constexpr auto kPatience = std::chrono::minutes(1);

sys::Mapping map_new_ledger(const std::filesystem::path& path) {
  const sys::Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!file || ::fchmod(file.get(), 0666) != 0 ||
      ::ftruncate(file.get(), static_cast<off_t>(sizeof(Ledger))) != 0)
    throw std::runtime_error("cannot make " + path.string());
  auto mapping = sys::map_shared(file.get(), 0, sizeof(Ledger), sys::Access::ReadWrite);
  if (!mapping) throw std::runtime_error(mapping.error().text);
  return std::move(*mapping);
}

} // namespace

std::uint64_t now_ns() {
  return static_cast<std::uint64_t>(Clock::now().time_since_epoch().count());
}

Stream::Stream(std::uint64_t largest, std::uint64_t rate) : directory_(daemon_.root()) {
  // Other users get in: that of the plugins, whose names lead to this file and no further.
  const std::filesystem::path path = directory_.path() / "ledger";
  mapping_ = map_new_ledger(path);
  ledger_ = reinterpret_cast<Ledger*>(mapping_.data());
  ledger_->largest.set(largest);
  ledger_->rate.set(rate);
  for (const char* name : {"soak_sink", "soak_source"}) {
    daemon_.grant(name,
                  fmt::format("can_access_filesystem = true\nread = [\"{0}\"]\nwrite = [\"{0}\"]\n"
                              "[config]\nledger = \"{0}\"\n",
                              path.string()));
    if (const test::Outcome outcome = try_load(name); outcome.code != 0)
      throw std::runtime_error(outcome.err);
  }
  wait_for("the first message", [&] { return ledger_->handled.get() > 0; });
}

test::Outcome Stream::try_load(const std::string& name) {
  const std::filesystem::path plugin = std::filesystem::path(SOAK_PLUGINS) / (name + ".so");
  return daemon_.load_and_start(daemon_.sign(plugin), name);
}

template <class Answer>
Answer Stream::ask(api::Method method, const google::protobuf::Message& request) {
  std::string said;
  for (const auto until = Clock::now() + kPatience; Clock::now() < until;) {
    if (!client_) {
      auto connected = api::Client::connect(daemon_.socket());
      if (connected)
        client_.emplace(std::move(*connected));
      else
        said = connected.error().text;
    }
    if (client_) {
      auto answer = client_->call<Answer>(method, request, std::chrono::seconds(20));
      if (answer) return *std::move(answer);
      said = answer.error().text;
      client_.reset(); // a manager that is being replaced takes its connections along
    }
    ::poll(nullptr, 0, 1);
  }
  throw std::runtime_error("no answer: " + said + "\n" + daemon_.log());
}

v1::PluginInfo Stream::info(const std::string& name) {
  v1::PluginRef plugin;
  plugin.set_name(name);
  return ask<v1::PluginInfo>(api::Method::Info, plugin);
}

v1::DaemonStatus Stream::status() {
  return ask<v1::DaemonStatus>(api::Method::Status, v1::Empty());
}

void Stream::wait_for(const char* what, const std::function<bool()>& condition) {
  const auto until = Clock::now() + kPatience;
  while (!condition()) {
    if (Clock::now() > until)
      throw std::runtime_error(fmt::format("{} does not come\nsource: {}\nsink: {}\n{}", what,
                                           info("soak_source").ShortDebugString(),
                                           info("soak_sink").ShortDebugString(), daemon_.log()));
    ::poll(nullptr, 0, 1); // words of other processes: there is nothing to wait on
  }
}

void Stream::drain() {
  ledger_->stop.set(1);
  wait_for("the source's end",
           [&] { return ledger_->stopped.get() == ledger_->source.life.get(); });
  const auto is_drained = [&] {
    for (std::uint64_t life = 0; life <= ledger_->stopped.get(); ++life)
      for (const Series& lane : ledger_->series[life])
        if (lane.next.get() < lane.sent.get()) return false;
    return true;
  };
  try {
    wait_for("the last message", is_drained);
  } catch (const std::exception& failed) {
    fmt::print(stderr, "{}\n", failed.what()); // the judge says which are missing
  }
}

Stream::Totals Stream::judge(Report& report) {
  Totals totals;
  std::uint64_t missing = 0;
  std::uint64_t never_sent = 0;
  for (std::uint64_t life = 0; life < kLives; ++life) {
    bool any = false;
    for (const Series& series : ledger_->series[life]) {
      const std::uint64_t sent = series.sent.get();
      const std::uint64_t next = series.next.get();
      if (next < sent)
        report.note(fmt::format("life {} of the source: {} of {} came", life, next, sent));
      missing += sent - std::min(sent, next);
      never_sent += next - std::min(next, series.sending.get());
      totals.sent += std::max(sent, std::min(next, series.sending.get()));
      totals.in_hand += next > sent ? 1 : 0;
      totals.received += next;
      any = any || series.sending.get() > 0;
    }
    totals.lives += any ? 1 : 0;
  }
  const std::uint64_t handled = ledger_->handled.get();
  report.zero("sent messages that did not come", missing, totals.sent, "sent");
  report.zero("messages that were never sent", never_sent, handled, "handled");
  for (std::uint64_t row = 0; row < kFaults; ++row)
    report.zero(kFaultTexts[row], ledger_->faults[row].get(), handled, "handled");
  if (ledger_->first_fault[4].get() != 0)
    report.note(fmt::format("first fault: {}: life {}, lane {}, number {}, expected {}",
                            kFaultTexts[ledger_->first_fault[4].get() - 1],
                            ledger_->first_fault[0].get(), ledger_->first_fault[1].get(),
                            ledger_->first_fault[2].get(), ledger_->first_fault[3].get()));
  return totals;
}

double percentile(std::vector<double>& values, double part) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const auto at = static_cast<std::size_t>(part * static_cast<double>(values.size()));
  return values[std::min(at, values.size() - 1)];
}

std::uint64_t count_of(const Histogram& histogram) {
  std::uint64_t count = 0;
  for (const Word& word : histogram.counts) count += word.get();
  return count;
}

double percentile(const Histogram& histogram, double part) {
  const auto wanted = static_cast<double>(count_of(histogram)) * part;
  std::uint64_t seen = 0;
  for (std::uint64_t bucket = 0; bucket < Histogram::kBuckets; ++bucket) {
    seen += histogram.counts[bucket].get();
    if (seen != 0 && static_cast<double>(seen) >= wanted)
      return static_cast<double>(Histogram::lowest_of(bucket));
  }
  return 0;
}

} // namespace mohhos::soak
