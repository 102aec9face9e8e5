// Death at every instruction: each operation of a ring's two ends (of lossy ones in
// death_lossy.cpp, of endpoints in death_endpoint.cpp) is stepped through, and at every instruction
// a copy of the process is killed with SIGKILL. What it leaves is then taken up by a successor,
// beside the other end that lived on.
//
//   death [SECONDS]     one round of every operation (0: ctest), and more rounds, each with other
//                       sizes at other places of the ring, until the time is over
#include <random>
#include <sys/eventfd.h>
#include <unistd.h>

#include "death_judge.hpp"
#include "ipc/doorbell.hpp"
#include "ipc/waiter.hpp"
#include "stepper.hpp"

namespace mohhos::soak {
namespace {

using namespace mohhos::ipc;

// --- what may die ---

struct Scenario {
  const char* name;
  bool sender_dies; // else the receiver
  int unread;       // messages in the ring when it begins; -1: full
  std::function<void(World&)> operation;
  std::function<void(World&)> unblock; // what the living end does while the other one sleeps
};

void wait_for_message(World& world, ReceivingChannel& receiver) {
  const sys::Fd no_link(::eventfd(0, EFD_CLOEXEC));
  Waiter waiter = must(Waiter::open(no_link.get()));
  if (!waiter.add_bell(receiver.data_bell(), WakeKind::Data, 1)) std::abort();
  (void)waiter.wait(Monotonic{}); // an old ring
  receiver.ring().arm();
  store_load_fence();
  if (!receiver.ring().ready()) (void)waiter.wait(Monotonic::max());
  receiver.ring().disarm();
  receive_noted(world, receiver);
}

void wait_for_space(World& world, SendingChannel& sender) {
  const sys::Fd no_link(::eventfd(0, EFD_CLOEXEC));
  Waiter waiter = must(Waiter::open(no_link.get()));
  if (!waiter.add_bell(sender.space_bell(), WakeKind::Space, 1)) std::abort();
  (void)waiter.wait(Monotonic{});
  const std::uint64_t before = world.progress->sent;
  sender.ring().arm();
  send_noted(world, sender);
  if (world.progress->sent == before) (void)waiter.wait(Monotonic::max());
  sender.ring().disarm();
  send_noted(world, sender);
}

const std::array kScenarios = {
    Scenario{"push", true, 2, [](World& w) { send_noted(w, *w.sender); }, {}},
    Scenario{"push into an empty ring", true, 0, [](World& w) { send_noted(w, *w.sender); }, {}},
    Scenario{"batch push",
             true,
             1,
             [](World& w) {
               for (int i = 0; i < 6; ++i) send_noted(w, *w.sender, true);
               w.sender->wake();
             },
             {}},
    Scenario{"push until full",
             true,
             3,
             [](World& w) {
               for (int i = 0; i < 20; ++i) send_noted(w, *w.sender, true);
             },
             {}},
    Scenario{"wait for space", true, -1, [](World& w) { wait_for_space(w, *w.sender); },
             [](World& w) {
               for (int i = 0; i < 8; ++i) {
                 View view;
                 if (w.receiver->next(view) == RingReceiver::Outcome::Message)
                   w.receiver->release(view);
               }
             }},
    Scenario{"attach, push and detach",
             true,
             2,
             [](World& w) {
               SendingChannel sender = w.new_sender();
               send_noted(w, sender);
             },
             {}},
    Scenario{"pop", false, 3, [](World& w) { receive_noted(w, *w.receiver); }, {}},
    Scenario{"pop the last",
             false,
             1,
             [](World& w) {
               receive_noted(w, *w.receiver);
               receive_noted(w, *w.receiver); // Empty: looks at the sender
             },
             {}},
    Scenario{"pop many",
             false,
             8,
             [](World& w) {
               for (int i = 0; i < 6; ++i) receive_noted(w, *w.receiver);
             },
             {}},
    Scenario{"pop from a full ring with a waiting sender",
             false,
             -1,
             [](World& w) {
               for (int i = 0; i < 8; ++i) receive_noted(w, *w.receiver);
             },
             {}},
    Scenario{"wait for a message", false, 0, [](World& w) { wait_for_message(w, *w.receiver); },
             [](World& w) { send_noted(w, *w.sender); }},
    Scenario{"attach, pop and detach",
             false,
             2,
             [](World& w) {
               ReceivingChannel receiver = w.new_receiver();
               receive_noted(w, receiver);
             },
             {}},
};

// Ends after three messages or so, if the receiver keeps up.
constexpr Laps kLaps{.bytes = 512, .messages = 1, .dense_ns = 0};

// `start`: messages that went through the ring before, so that it wraps, or ends a lap, at another
// place.
void run(const Scenario& scenario, const Laps& laps, std::uint64_t start, Tally& tally,
         Report& report) {
  World world(laps);
  std::uint64_t number = 0;
  View view;
  for (; number < start; ++number) {
    send_one(*world.sender, number);
    if (world.receiver->next(view) == RingReceiver::Outcome::Message) world.receiver->release(view);
  }
  for (int i = 0; i != scenario.unread && send_one(*world.sender, number); ++i) ++number;
  *world.progress = {.sent = number, .started = start, .handled = start, .released = start};
  if (scenario.sender_dies) {
    world.receiver->ring().arm(); // asleep, so that the sender rings too
  } else if (scenario.unread < 0) {
    world.sender->ring().arm();
  }

  const std::uint64_t skip_end = world.skip_end();
  Judge judge(world, tally, report);
  std::uint64_t unread_from = start;
  StepOptions options{.unblock = {}};
  if (scenario.unblock)
    options.unblock = [&] {
      scenario.unblock(world);
      if (scenario.sender_dies) unread_from += 8;
    };
  tally.deaths += step_through([&] { scenario.operation(world); }, options,
                               [&](std::uint64_t k) {
                                 tally.behind_skip += world.skip_end() != skip_end;
                                 if (scenario.sender_dies)
                                   judge.sender_died(scenario.name, k, unread_from);
                                 else
                                   judge.receiver_died(scenario.name, k);
                               });
}

constexpr std::uint64_t kStartsOfALap = 2;

int soak(double seconds) {
  Report report("death");
  Tally tally;
  const auto began = Clock::now();
  std::mt19937_64 random(1);
  std::uint64_t rounds = 0;
  do {
    for (const Scenario& scenario : kScenarios) {
      const auto before = Clock::now();
      const Tally then = tally;
      run(scenario, {}, rounds == 0 ? 17 : random() % 200, tally, report);
      // (In a full ring no lap ends.)
      for (std::uint64_t i = 0; i < kStartsOfALap && scenario.unread >= 0; ++i)
        run(scenario, kLaps, rounds == 0 ? 17 + i : random() % 200, tally, report);
      if (rounds == 0)
        fmt::print(stderr, "death: {}: {} deaths, {:.2f} s\n", scenario.name,
                   tally.deaths - then.deaths,
                   std::chrono::duration<double>(Clock::now() - before).count());
    }
    die_in_lossy_rings(rounds == 0 ? 17 : random() % 200, tally, report, rounds == 0);
    die_in_endpoints(rounds == 0 ? 17 : random() % 200, tally, report, rounds == 0);
    ++rounds;
  } while (std::chrono::duration<double>(Clock::now() - began).count() < seconds);

  report.zero("torn, broken or invented messages", tally.torn, tally.deaths, "deaths");
  report.zero("messages lost", tally.lost, tally.deaths, "deaths");
  report.zero("acknowledged messages redelivered", tally.again, tally.deaths, "deaths");
  report.zero("redeliveries not flagged, or flags too many", tally.unflagged, tally.deaths,
              "deaths");
  report.zero("rings unusable for the successor", tally.unusable, tally.deaths, "deaths");
  report.zero("sleeping successors not rung", tally.unheard, tally.deaths, "deaths");
  report.zero("lossy rings whose count of missed events is wrong", tally.miscounted, tally.deaths,
              "deaths");
  report.figure("messages received by successors", static_cast<double>(tally.messages), "");
  report.figure("of those deaths, after the operation skipped",
                static_cast<double>(tally.behind_skip), "");
  report.figure("redelivered and flagged", static_cast<double>(tally.redelivered), "messages");
  report.figure("rounds of all operations", static_cast<double>(rounds), "");
  return report.finish();
}

} // namespace
} // namespace mohhos::soak

int main(int argc, char** argv) {
  if (!mohhos::soak::can_step()) {
    fmt::print(stderr, "SKIP: this process may not trace its children\n");
    return 77;
  }
  return mohhos::soak::soak(mohhos::soak::seconds_argument(argc, argv, 0));
}
