// What must hold when one end of a World has died, beside the other that lives.
#pragma once

#include "death.hpp"

namespace mohhos::soak {

class Judge {
public:
  Judge(World& world, Tally& tally, Report& report)
      : world_(world), tally_(tally), report_(report) {}

  void sender_died(const char* name, std::uint64_t k, std::uint64_t first_unread) {
    where_ = fmt::format("{}, instruction {}", name, k);
    const World::Snapshot saved = world_.save();
    // The successor attaches before, or after, the receiver has read what is there.
    for (const bool early : {true, false}) {
      std::optional<ipc::SendingChannel> successor;
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
    ipc::ReceivingChannel successor = world_.new_receiver();
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
  Taken take_all(ipc::ReceivingChannel& receiver, std::uint64_t from, std::uint64_t until,
                 std::uint64_t started) {
    Taken taken{.next = until};
    std::uint64_t flags = 0;
    bool first = true;
    ipc::View view;
    for (;; first = false) {
      const auto outcome = receiver.next(view);
      expect(outcome != ipc::RingReceiver::Outcome::Broken, tally_.torn, "the ring is broken");
      if (outcome != ipc::RingReceiver::Outcome::Message) break;
      std::uint64_t number = 0;
      std::memcpy(&number, view.payload.data(), sizeof number);
      if (first) {
        expect(number >= from, tally_.again, "an acknowledged message came again");
        expect(number <= until, tally_.lost, "a message is lost");
        taken.next = number;
      }
      expect(world_.holds_whole(view, taken.next), tally_.torn, "a message is torn");
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
  void two_laps(ipc::SendingChannel& sender, ipc::ReceivingChannel& receiver,
                std::uint64_t number) {
    std::uint64_t received = number;
    ipc::View view;
    for (const std::uint64_t end = number + 64; received < end;) {
      bool moved = false;
      while (number < end && send_one(sender, number)) {
        ++number;
        moved = true;
      }
      while (receiver.next(view) == ipc::RingReceiver::Outcome::Message) {
        expect(world_.holds_whole(view, received) && !view.info.redelivered, tally_.unusable,
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
  void sleeper_is_rung(ipc::SendingChannel& sender, ipc::ReceivingChannel& receiver) {
    if (world_.receiver_is_armed()) receiver.ring().disarm(); // the link told it of the death
    receiver.ring().arm();
    ipc::store_load_fence();
    const std::uint64_t bells = sender.bells();
    std::span<std::byte> space;
    if (sender.ring().loan(8, {}, space) == ipc::RingSender::Outcome::Ok) sender.commit();
    sender.wake();
    expect(sender.bells() == bells + 1, tally_.unheard, "a sleeping receiver was not rung");
    receiver.ring().disarm();
  }

  World& world_;
  Tally& tally_;
  Report& report_;
  std::string where_;
};

} // namespace mohhos::soak
