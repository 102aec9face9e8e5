#include "pair.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/shared_word.hpp"
#include "ring_support.hpp"

namespace mohhos::bench {
namespace {

using Clock = std::chrono::steady_clock;

// Short for what comes at once; then the CPU goes to whoever may be waiting for it: the other
// process, when both share one.
template <class Condition>
void wait_until(Condition condition) {
  for (int i = 0; i < 2000; ++i) {
    if (condition()) return;
    ipc::spin_pause();
  }
  while (!condition()) ::sched_yield();
}

void unpin() {
  require(::sched_setaffinity(0, sizeof kAllowedCpus, &kAllowedCpus) == 0, "sched_setaffinity");
}

// A slice takes milliseconds; one that takes this long has lost a message or a wake-up.
constexpr unsigned kHangSeconds = 30;
std::array<char, 160> running{};

void say_what_hangs(int) {
  constexpr std::string_view kWords = "benchmark: this does not come to an end: ";
  (void)!::write(STDERR_FILENO, kWords.data(), kWords.size());
  (void)!::write(STDERR_FILENO, running.data(), std::strlen(running.data()));
  (void)!::write(STDERR_FILENO, "\n", 1);
  ::_exit(1);
}

std::uint64_t adapted(std::uint64_t count, double took_ns, double wanted_ns) {
  const double factor = std::clamp(wanted_ns / std::max(took_ns, 1.0), 0.25, 4.0);
  return std::max<std::uint64_t>(4,
                                 static_cast<std::uint64_t>(static_cast<double>(count) * factor));
}

} // namespace

Pair::Pair(std::vector<Group>& groups) : groups_(groups) {
  (void)ns_per_tick();
  const pid_t parent = ::getpid();
  second_ = ::fork();
  require(second_ >= 0, "fork");
  if (second_ != 0) {
    std::signal(SIGALRM, say_what_hangs);
    return;
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  serve();
}

Pair::~Pair() {
  give(Verb::End, 0, 0);
  ::waitpid(second_, nullptr, 0);
}

void Pair::give(Verb verb, std::uint32_t row, std::uint64_t count) {
  order_->verb = verb;
  order_->group = group_;
  order_->row = row;
  order_->count = count;
  order_->warm_up = count / 8 + 1;
  order_->number.fetch_add(1, std::memory_order_release);
}

void Pair::wait_done() {
  const std::uint32_t number = order_->number.load(std::memory_order_relaxed);
  int looks = 0;
  wait_until([&] {
    if (order_->done.load(std::memory_order_acquire) == number) return true;
    // Whether it died, not at every look: that is a system call.
    if (++looks % 10'000 == 0)
      require(::waitpid(second_, nullptr, WNOHANG) == 0, "the second process died");
    return false;
  });
}

bool Pair::open(Row& row, std::uint32_t number) {
  unpin();
  give(Verb::Open, number, 0);
  const auto reason = row.contestant->open(Side::First);
  wait_done();
  if (reason)
    row.absent = *reason;
  else
    row.absent = order_->absent;
  return row.absent.empty();
}

// Nanoseconds for row.count messages.
double Pair::slice(const Group& group, std::uint32_t number, Histogram* histogram) {
  const Row& row = group.rows[number];
  Contestant& contestant = *row.contestant;
  std::snprintf(running.data(), running.size(), "%s: %s", group.name.c_str(), row.name.c_str());
  ::alarm(kHangSeconds);
  give(Verb::Run, number, row.count);
  const std::uint64_t warm_up = order_->warm_up;
  const std::uint32_t order = order_->number.load(std::memory_order_relaxed);
  wait_until([&] { return order_->begun.load(std::memory_order_acquire) == order; });
  Clock::time_point begin;
  if (group.kind == Kind::Flow) {
    contestant.pour(warm_up);
    begin = Clock::now();
    contestant.pour(row.count);
  } else {
    contestant.ping(warm_up);
    begin = Clock::now();
    if (histogram != nullptr)
      contestant.ping_timed(row.count, *histogram);
    else
      contestant.ping(row.count);
  }
  const std::chrono::duration<double, std::nano> took = Clock::now() - begin;
  wait_done();
  ::alarm(0);
  return took.count();
}

void Pair::calibrate(const Group& group, std::uint32_t number) {
  Row& row = const_cast<Row&>(group.rows[number]);
  const double wanted = std::chrono::duration<double, std::nano>(group.slice).count();
  for (int i = 0; i < 20; ++i) {
    const double took = slice(group, number, nullptr);
    row.count = adapted(row.count, took, wanted);
    if (took > wanted / 3) return;
  }
}

void Pair::run(Group& group, std::chrono::milliseconds time) {
  group_ = static_cast<std::uint32_t>(&group - groups_.data());
  const auto rows = static_cast<std::uint32_t>(group.rows.size());
  for (std::uint32_t i = 0; i < rows; ++i) {
    std::fprintf(stderr, "%s: %s\n", group.name.c_str(), group.rows[i].name.c_str());
    if (group.rows[i].contestant == nullptr || !open(group.rows[i], i)) continue;
    pin_to(0);
    calibrate(group, i);
  }
  pin_to(0);
  const double wanted = std::chrono::duration<double, std::nano>(group.slice).count();
  const auto end = Clock::now() + time;
  for (std::uint32_t round = 0; round < 5 || Clock::now() < end; ++round) {
    for (std::uint32_t i = 0; i < rows; ++i) {
      const std::uint32_t number = (i + round) % rows; // nobody always comes after the same one
      Row& row = group.rows[number];
      if (!row.absent.empty()) continue;
      const std::uint64_t count = row.count;
      const double took =
          slice(group, number, group.kind == Kind::Distribution ? &row.histogram : nullptr);
      row.count = adapted(count, took, wanted);
      const double each = took / static_cast<double>(count);
      row.values.push_back(group.kind == Kind::Flow ? 1e9 / each : each / 2);
    }
  }
}

// --- the second process ---

void Pair::serve() {
  std::uint32_t served = 0;
  for (;;) {
    wait_until([&] { return order_->number.load(std::memory_order_acquire) != served; });
    ++served;
    if (order_->verb == Verb::End) {
      groups_.clear(); // in order: RouDi, for one, aborts when a process of its own just vanishes
      std::exit(0);
    }
    serve_order(*order_);
    order_->done.store(served, std::memory_order_release);
  }
}

void Pair::serve_order(Order& order) {
  const Group& group = groups_[order.group];
  Contestant& contestant = *group.rows[order.row].contestant;
  if (order.verb == Verb::Open) {
    unpin();
    const std::string reason = contestant.open(Side::Second).value_or("");
    std::snprintf(order.absent, sizeof order.absent, "%s", reason.c_str());
    return;
  }
  pin_to(contestant.same_core() ? 0 : 1);
  order.begun.store(order.number.load(std::memory_order_relaxed), std::memory_order_release);
  if (group.kind == Kind::Flow) {
    contestant.drain(order.warm_up);
    contestant.drain(order.count);
  } else {
    contestant.echo(order.warm_up);
    contestant.echo(order.count);
  }
}

} // namespace mohhos::bench
