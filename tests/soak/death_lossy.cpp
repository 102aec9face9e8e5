// Death in lossy rings: a sender that overwrites the oldest records, a receiver that copies them
// out. Something may be missed there, so what must hold is: whole, in order, and counted exactly.
#include <functional>

#include "death.hpp"
#include "stepper.hpp"

namespace mohhos::soak {
namespace {

using namespace mohhos::ipc;

constexpr ChannelOptions kLossy{.loss = Loss::Oldest, .huge_pages = false};

class LossyWorld {
public:
  LossyWorld() : world_() {
    world_.receiver.emplace(new_receiver());
    world_.sender.emplace(new_sender());
  }
  SendingChannel new_sender() const {
    return must(SendingChannel::attach(must(make_sender_end(world_.memory)), kCapacity, 2, kLossy));
  }
  ReceivingChannel new_receiver() const {
    return must(
        ReceivingChannel::attach(must(make_receiver_end(world_.memory)), kCapacity, kLossy));
  }
  World& operator*() { return world_; }
  World* operator->() { return &world_; }

private:
  World world_;
};

// --- what may die ---

// An event's correlation is its number in the ring; a message's own is in its payload.
bool is_whole_event(const View& view) {
  std::uint64_t number = 0;
  std::memcpy(&number, view.payload.data(), sizeof number);
  View same = view;
  same.info.correlation = about(number).correlation;
  return is_whole(same, number);
}

// Leaves everything that is out on the receiver's side of the account.
void take_noted(World& world, ReceivingChannel& receiver) {
  View view;
  if (receiver.next(view) != RingReceiver::Outcome::Message) return;
  std::memcpy(&world.progress->started, view.payload.data(), 8); // of this number
  ++world.progress->handled;
  if (!is_whole_event(view)) std::abort();
  receiver.release(view);
}

struct Scenario {
  const char* name;
  bool sender_dies;
  int unread; // sent before, and not received; many: the ring has gone round
  void (*operation)(World&);
};

constexpr std::array kScenarios = {
    Scenario{"lossy push", true, 2, [](World& w) { send_noted(w, *w.sender); }},
    Scenario{"lossy push over the oldest", true, 40,
             [](World& w) {
               for (int i = 0; i < 4; ++i) send_noted(w, *w.sender);
             }},
    Scenario{"lossy pop", false, 3, [](World& w) { take_noted(w, *w.receiver); }},
    Scenario{"lossy pop behind a gap", false, 40,
             [](World& w) {
               for (int i = 0; i < 3; ++i) take_noted(w, *w.receiver);
             }},
    Scenario{"lossy pop of the last", false, 1,
             [](World& w) {
               take_noted(w, *w.receiver);
               take_noted(w, *w.receiver);
             }},
};

// --- what must hold afterwards ---

class LossyJudge {
public:
  LossyJudge(LossyWorld& world, Tally& tally, Report& report)
      : world_(world), tally_(tally), report_(report) {}

  // Returns the number that follows what was published.
  std::uint64_t sender_died(std::string where, std::uint64_t received) {
    where_ = std::move(where);
    const std::uint64_t sent = world_->progress->sent;
    Account account{.received = received, .next = received};
    SendingChannel successor = world_.new_sender();
    take_all(*world_->receiver, account);
    expect(account.next >= sent, tally_.lost, "the newest is lost");
    expect(account.next <= sent + 1, tally_.torn, "a message came that was never sent");
    const std::uint64_t next = account.next;
    go_on(successor, *world_->receiver, account, next, 0);
    return next;
  }
  // The same death: all that it left is overwritten before the receiver looks.
  void sender_died_unseen(std::uint64_t received, std::uint64_t next) {
    Account account{.received = received, .next = received};
    SendingChannel successor = world_.new_sender();
    go_on(successor, *world_->receiver, account, next, 0);
  }

  void receiver_died(std::string where) {
    where_ = std::move(where);
    const Progress progress = *world_->progress;
    ReceivingChannel successor = world_.new_receiver();
    Account account{.received = progress.handled,
                    .next = progress.handled == 0 ? 0 : progress.started + 1};
    take_all(successor, account);
    expect(account.next == progress.sent || account.next + 1 == progress.sent, tally_.lost,
           "the newest is lost");
    // One may have been in hand, and went with the process.
    go_on(*world_->sender, successor, account, progress.sent, 1);
  }

private:
  struct Account {
    std::uint64_t received = 0; // by all receivers
    std::uint64_t next = 0;     // no number before it may come any more
  };

  void expect(bool holds, std::uint64_t& count, std::string_view words) {
    if (holds) return;
    ++count;
    report_.note(fmt::format("{}: {}", where_, words));
  }

  void take_all(ReceivingChannel& receiver, Account& account) {
    View view;
    for (;;) {
      const auto outcome = receiver.next(view);
      expect(outcome != RingReceiver::Outcome::Broken, tally_.torn, "the ring is broken");
      if (outcome != RingReceiver::Outcome::Message) return;
      std::uint64_t number = 0;
      std::memcpy(&number, view.payload.data(), sizeof number);
      expect(is_whole_event(view), tally_.torn, "an event is torn");
      expect(number >= account.next, tally_.again, "an event came again");
      expect(!view.info.redelivered, tally_.unflagged, "an event is flagged");
      account.next = number + 1;
      ++account.received;
      ++tally_.messages;
      receiver.release(view);
    }
  }

  // Twice round the ring, unread at first; then everything there is has been received or counted.
  void go_on(SendingChannel& sender, ReceivingChannel& receiver, Account& account,
             std::uint64_t number, std::uint64_t in_hand) {
    for (const int burst : {60, 3, 60}) {
      for (int i = 0; i < burst; ++i)
        expect(send_one(sender, number++), tally_.unusable, "a lossy ring says it is full");
      take_all(receiver, account);
      expect(account.next == number, tally_.unusable, "the newest does not come");
    }
    const std::uint64_t missed = number - account.received;
    const std::uint64_t counted = receiver.ring().counters().dropped;
    expect(counted <= missed && missed <= counted + in_hand, tally_.miscounted,
           fmt::format("{} events did not come, and {} are counted", missed, counted));
  }

  LossyWorld& world_;
  Tally& tally_;
  Report& report_;
  std::string where_;
};

void run(const Scenario& scenario, std::uint64_t start, Tally& tally, Report& report) {
  LossyWorld world;
  std::uint64_t number = 0;
  View view;
  for (; number < start; ++number) {
    send_one(*world->sender, number);
    if (world->receiver->next(view) == RingReceiver::Outcome::Message)
      world->receiver->release(view);
  }
  for (int i = 0; i < scenario.unread; ++i) send_one(*world->sender, number++);
  *world->progress = {
      .sent = number, .started = start == 0 ? 0 : start - 1, .handled = start, .released = start};
  LossyJudge judge(world, tally, report);
  const auto judge_it = [&](std::uint64_t k) {
    const World::Snapshot saved = world->save();
    const std::string where = fmt::format("{}, instruction {}", scenario.name, k);
    if (scenario.sender_dies) {
      const std::uint64_t next = judge.sender_died(where, start);
      world->restore(saved);
      judge.sender_died_unseen(start, next);
    } else {
      judge.receiver_died(where);
    }
    world->restore(saved);
  };
  tally.deaths += step_through([&] { scenario.operation(*world); }, {}, judge_it);
}

} // namespace

void die_in_lossy_rings(std::uint64_t start, Tally& tally, Report& report, bool aloud) {
  for (const Scenario& scenario : kScenarios) {
    const std::uint64_t before = tally.deaths;
    run(scenario, start, tally, report);
    if (aloud) fmt::print(stderr, "death: {}: {} deaths\n", scenario.name, tally.deaths - before);
  }
}

} // namespace mohhos::soak
