// Death at every instruction: each operation of a ring's two ends is stepped through, and at every
// instruction a copy of the process is killed with SIGKILL. What it leaves is then taken up by a
// successor, beside the other end that lived on.
//
//   death [SECONDS]     one round of every operation (0: ctest), and more rounds, each with other
//                       sizes at other places of the ring, until the time is over
#include <array>
#include <cstring>
#include <optional>
#include <random>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ipc/channel.hpp"
#include "ipc/doorbell.hpp"
#include "ipc/shared_word.hpp"
#include "ipc/waiter.hpp"
#include "report.hpp"
#include "stepper.hpp"

namespace mohhos::soak {
namespace {

using namespace mohhos::ipc;

constexpr std::uint64_t kCapacity = 4096;

template <class T>
T must(Result<T> result) {
  if (!result) {
    fmt::print(stderr, "death: {}\n", result.error().text);
    std::abort();
  }
  return *std::move(result);
}

// --- numbered messages: everything about one follows from its number ---

std::uint32_t size_of(std::uint64_t number) {
  return static_cast<std::uint32_t>(8 + number * 2654435761U % 280);
}
Outgoing about(std::uint64_t number) {
  Outgoing about{};
  if (number % 3 == 0) about.correlation = number + 1;
  return about;
}
// The number, and then one byte over and over: few instructions to write, so few that are not the
// ring's own.
int filling(std::uint64_t number) {
  return static_cast<int>(number * 31 & 0xFF);
}
void fill(std::span<std::byte> space, std::uint64_t number) {
  std::memset(space.data(), filling(number), space.size());
  std::memcpy(space.data(), &number, sizeof number);
}
bool is_whole(const View& view, std::uint64_t number) {
  if (view.payload.size() != size_of(number)) return false;
  if (view.info.correlation != about(number).correlation) return false;
  std::uint64_t found = 0;
  std::memcpy(&found, view.payload.data(), sizeof found);
  const auto rest = view.payload.subspan(sizeof found);
  return found == number &&
         (rest.empty() || (rest[0] == std::byte(filling(number)) &&
                           std::memcmp(rest.data(), rest.data() + 1, rest.size() - 1) == 0));
}

// --- the world that a death leaves ---

// What the dead process had said of itself.
struct Progress {
  std::uint64_t sent;     // commit() returned for all before this number
  std::uint64_t started;  // handlers of all before this were called
  std::uint64_t handled;  // ... and returned
  std::uint64_t released; // release() returned
};

class World {
public:
  World() : memory(must(make_channel_memory(kCapacity))) {
    data_ = must(
        sys::map_shared(memory.data.get(), 0, kHeaderPage + kCapacity, sys::Access::ReadWrite));
    control_ = must(sys::map_shared(memory.control.get(), 0, kHeaderPage, sys::Access::ReadWrite));
    void* const page = ::mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) std::abort();
    progress = static_cast<Progress*>(page);
    attach_sender();
    attach_receiver();
  }
  ~World() { ::munmap(progress, sizeof(Progress)); }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  SendingChannel new_sender() const {
    return must(SendingChannel::attach(must(make_sender_end(memory)), kCapacity, 2));
  }
  ReceivingChannel new_receiver() const {
    return must(ReceivingChannel::attach(must(make_receiver_end(memory)), kCapacity));
  }
  void attach_sender() { sender.emplace(new_sender()); }
  void attach_receiver() { receiver.emplace(new_receiver()); }

  [[nodiscard]] bool receiver_is_armed() const {
    return load_relaxed(&reinterpret_cast<const Control*>(control_.data())->armed) % 2 == 1;
  }

  // In front of a check that changes things; and behind it.
  struct Snapshot {
    std::array<std::byte, kHeaderPage + kCapacity> data;
    std::array<std::byte, kHeaderPage> control;
    Progress progress;
    RingSender sender;
    RingReceiver receiver;
  };
  Snapshot save() const {
    Snapshot saved{.data = {},
                   .control = {},
                   .progress = *progress,
                   .sender = sender->ring(),
                   .receiver = receiver->ring()};
    std::memcpy(saved.data.data(), data_.data(), saved.data.size());
    std::memcpy(saved.control.data(), control_.data(), saved.control.size());
    return saved;
  }
  void restore(const Snapshot& saved) {
    std::memcpy(data_.data(), saved.data.data(), saved.data.size());
    std::memcpy(control_.data(), saved.control.data(), saved.control.size());
    *progress = saved.progress;
    sender->ring() = saved.sender;
    receiver->ring() = saved.receiver;
  }

  ChannelMemory memory;
  std::optional<SendingChannel> sender;
  std::optional<ReceivingChannel> receiver;
  Progress* progress = nullptr;

private:
  sys::Mapping data_;
  sys::Mapping control_;
};

bool send_one(SendingChannel& sender, std::uint64_t number, bool more = false) {
  std::span<std::byte> space;
  if (sender.ring().loan(size_of(number), about(number), space) != RingSender::Outcome::Ok)
    return false;
  fill(space, number);
  sender.commit(more);
  return true;
}

void send_noted(World& world, SendingChannel& sender, bool more = false) {
  if (send_one(sender, world.progress->sent, more)) ++world.progress->sent;
}

void receive_noted(World& world, ReceivingChannel& receiver) {
  View view;
  if (receiver.next(view) != RingReceiver::Outcome::Message) return;
  ++world.progress->started;
  if (!is_whole(view, world.progress->handled)) std::abort();
  ++world.progress->handled;
  receiver.release(view);
  ++world.progress->released;
}

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

// --- what must hold afterwards ---

struct Tally {
  std::uint64_t deaths = 0;
  std::uint64_t messages = 0; // that successors received
  std::uint64_t redelivered = 0;
  std::uint64_t torn = 0;
  std::uint64_t lost = 0;
  std::uint64_t again = 0;     // redelivered though acknowledged
  std::uint64_t unflagged = 0; // redelivered without a flag, or flagged without being it
  std::uint64_t unusable = 0;  // rings
  std::uint64_t unheard = 0;   // successors that slept and were not rung
};

class Judge {
public:
  Judge(World& world, Tally& tally, Report& report)
      : world_(world), tally_(tally), report_(report) {}

  void sender_died(const char* name, std::uint64_t k, std::uint64_t first_unread) {
    where_ = fmt::format("{}, instruction {}", name, k);
    const World::Snapshot saved = world_.save();
    // The successor attaches before, or after, the receiver has read what is there.
    for (const bool early : {true, false}) {
      std::optional<SendingChannel> successor;
      if (early) successor.emplace(world_.new_sender());
      const Taken taken = take_all(*world_.receiver, first_unread, first_unread, first_unread);
      const std::uint64_t sent = world_.progress->sent;
      expect(taken.next >= sent, tally_.lost, "a sent message is lost");
      expect(taken.next <= sent + 1, tally_.torn, "a message came that was never sent");
      if (!early) successor.emplace(world_.new_sender());
      two_laps(*successor, *world_.receiver, taken.next);
      sleeper_is_rung(*successor, *world_.receiver);
      world_.restore(saved);
    }
  }

  void receiver_died(const char* name, std::uint64_t k) {
    where_ = fmt::format("{}, instruction {}", name, k);
    const World::Snapshot saved = world_.save();
    const Progress progress = *world_.progress;
    ReceivingChannel successor = world_.new_receiver();
    // The first that comes is one that was handled and not yet acknowledged, or the next.
    const Taken taken = take_all(successor, progress.released, progress.handled, progress.started);
    expect(taken.next == progress.sent, tally_.lost, "a message that nobody handled is lost");
    two_laps(*world_.sender, successor, taken.next);
    sleeper_is_rung(*world_.sender, successor);
    world_.restore(saved);
  }

private:
  struct Taken {
    std::uint64_t next = 0;
  };

  void expect(bool holds, std::uint64_t& count, std::string_view words) {
    if (holds) return;
    ++count;
    report_.note(fmt::format("{}: {}", where_, words));
  }

  // Everything in the ring, in order. It begins between `from` (all before were acknowledged) and
  // `until` (none before it may be missing); what was `started` and comes again must be flagged.
  Taken take_all(ReceivingChannel& receiver, std::uint64_t from, std::uint64_t until,
                 std::uint64_t started) {
    Taken taken{.next = until};
    std::uint64_t flags = 0;
    bool first = true;
    View view;
    for (;; first = false) {
      const auto outcome = receiver.next(view);
      expect(outcome != RingReceiver::Outcome::Broken, tally_.torn, "the ring is broken");
      if (outcome != RingReceiver::Outcome::Message) break;
      std::uint64_t number = 0;
      std::memcpy(&number, view.payload.data(), sizeof number);
      if (first) {
        expect(number >= from, tally_.again, "an acknowledged message came again");
        expect(number <= until, tally_.lost, "a message is lost");
        taken.next = number;
      }
      expect(is_whole(view, taken.next), tally_.torn, "a message is torn");
      if (taken.next < started)
        expect(view.info.redelivered, tally_.unflagged, "a redelivered message has no flag");
      flags += view.info.redelivered ? 1U : 0U;
      ++taken.next;
      ++tally_.messages;
      receiver.release(view);
    }
    expect(flags <= 1, tally_.unflagged, "more than one message is flagged");
    tally_.redelivered += flags;
    return taken;
  }

  // The ring is as good as new: numbered messages twice round it.
  void two_laps(SendingChannel& sender, ReceivingChannel& receiver, std::uint64_t number) {
    std::uint64_t received = number;
    View view;
    for (const std::uint64_t end = number + 64; received < end;) {
      bool moved = false;
      while (number < end && send_one(sender, number)) {
        ++number;
        moved = true;
      }
      while (receiver.next(view) == RingReceiver::Outcome::Message) {
        expect(is_whole(view, received) && !view.info.redelivered, tally_.unusable,
               "the ring lets a wrong message through");
        ++received;
        ++tally_.messages;
        receiver.release(view);
        moved = true;
      }
      if (moved) continue;
      expect(false, tally_.unusable, "the ring moves nothing");
      return;
    }
  }

  // A receiver that now goes to sleep is seen asleep, whatever rang before.
  void sleeper_is_rung(SendingChannel& sender, ReceivingChannel& receiver) {
    if (world_.receiver_is_armed()) receiver.ring().disarm(); // the link told it of the death
    receiver.ring().arm();
    store_load_fence();
    const std::uint64_t bells = sender.bells();
    std::span<std::byte> space;
    if (sender.ring().loan(8, {}, space) == RingSender::Outcome::Ok) sender.commit();
    sender.wake();
    expect(sender.bells() == bells + 1, tally_.unheard, "a sleeping receiver was not rung");
    receiver.ring().disarm();
  }

  World& world_;
  Tally& tally_;
  Report& report_;
  std::string where_;
};

// `start`: messages that went through the ring before, so that it wraps at another place.
void run(const Scenario& scenario, std::uint64_t start, Tally& tally, Report& report) {
  World world;
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
                                 if (scenario.sender_dies)
                                   judge.sender_died(scenario.name, k, unread_from);
                                 else
                                   judge.receiver_died(scenario.name, k);
                               });
}

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
      run(scenario, rounds == 0 ? 17 : random() % 200, tally, report);
      if (rounds == 0)
        fmt::print(stderr, "death: {}: {} deaths, {:.2f} s\n", scenario.name,
                   tally.deaths - then.deaths,
                   std::chrono::duration<double>(Clock::now() - before).count());
    }
    ++rounds;
  } while (std::chrono::duration<double>(Clock::now() - began).count() < seconds);

  report.zero("torn, broken or invented messages", tally.torn, tally.deaths, "deaths");
  report.zero("messages lost", tally.lost, tally.deaths, "deaths");
  report.zero("acknowledged messages redelivered", tally.again, tally.deaths, "deaths");
  report.zero("redeliveries not flagged, or flags too many", tally.unflagged, tally.deaths,
              "deaths");
  report.zero("rings unusable for the successor", tally.unusable, tally.deaths, "deaths");
  report.zero("sleeping successors not rung", tally.unheard, tally.deaths, "deaths");
  report.figure("messages received by successors", static_cast<double>(tally.messages), "");
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
