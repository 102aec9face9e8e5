// Judges what soak_source sends, against the ledger that its own former lives have kept.
#include "part.hpp"

namespace {

using namespace mohhos::soak;

class Sink : public PartOfAStream {
public:
  void on_start() override {
    ledger_->sink.talks.set(0);
    ledger_->sink.life.set(generation());
  }

  void on_message(const mohhos::Message& message) override {
    if (message.wants_reply()) return reply(message, std::to_string(ledger_->handled.get()));
    die_if_told(ledger_->sink, Place::Before);
    Head head{};
    if (message.size() < sizeof head) return blame(Fault::Torn, head, 0);
    std::memcpy(&head, message.bytes().data(), sizeof head);
    if (head.lane >= kLanes || head.life >= kLives) return blame(Fault::Torn, {}, 0);
    if (message.sender_name() == "soak_source") take(message, head);
    ledger_->handled.add(1);
    ledger_->bytes.add(message.size());
    die_if_told(ledger_->sink, Place::Behind);
  }

private:
  void take(const mohhos::Message& message, const Head& head) {
    const std::uint64_t now = now_ns();
    const std::uint64_t seed = seed_of(head.life, head.lane, head.number);
    const auto* const words =
        reinterpret_cast<const std::uint64_t*>(message.bytes().data() + sizeof head);
    if (message.size() != size_of(seed, ledger_->largest.get()) ||
        !is_filled(words, (message.size() - sizeof head) / 8, seed, head.sum))
      blame(Fault::Torn, head, 0);
    die_if_told(ledger_->sink, Place::Within);

    Series& series = ledger_->series[head.life][head.lane];
    const std::uint64_t next = series.next.get();
    const bool flagged = message.redelivered();
    if (flagged) {
      ledger_->redelivered.add(1);
      // Only the first of its lane in this life can be one that the life before had begun.
      if (seen_[head.lane]) blame(Fault::Flagged, head, next);
    }
    seen_[head.lane] = true;
    if (head.number > next) blame(Fault::Lost, head, next, head.number - next);
    if (head.number + 1 < next) blame(Fault::Again, head, next);
    if (head.number + 1 == next && !flagged) blame(Fault::Unflagged, head, next);
    Word& latest = ledger_->latest[head.lane];
    if (head.life < latest.get()) blame(Fault::Reordered, head, next);
    latest.set(head.life);

    if (series.first_at.get() == 0) series.first_at.set(now);
    if (ledger_->sink.talks.get() == 0) ledger_->sink.talks.set(now);
    Histogram& latency = ledger_->latency[ledger_->window.get() % 3];
    latency.counts[Histogram::bucket_of(now > head.sent_at ? now - head.sent_at : 0)].add(1);
    if (head.number >= next) series.next.set(head.number + 1);
  }

  void blame(Fault fault, const Head& head, std::uint64_t expected, std::uint64_t times = 1) {
    const auto row = static_cast<std::uint64_t>(fault);
    ledger_->faults[row].add(times);
    if (ledger_->first_fault[4].get() != 0) return;
    const std::uint64_t words[] = {head.life, head.lane, head.number, expected, row + 1};
    for (std::size_t i = 0; i < 5; ++i) ledger_->first_fault[i].set(words[i]);
  }

  bool seen_[kLanes] = {};
};

} // namespace

MOHHOS_PLUGIN(Sink)
