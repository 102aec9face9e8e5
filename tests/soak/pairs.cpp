// Every pair of head and tail of a small ring, and random ones over all 64 bits: what the two sides
// may find written in the other's words. Expected is the exact verdict, computed here in another
// way; guard pages see a step outside.
//
//   pairs [SECONDS]     0 (ctest): each count once; else random pairs until the time is over
#include <cstring>
#include <random>
#include <unistd.h>

#include "guarded_ring.hpp"
#include "report.hpp"

namespace mohhos::soak {
namespace {

using namespace mohhos::ipc;
using Sent = RingSender::Outcome;
using Got = RingReceiver::Outcome;

constexpr std::uint64_t kCapacity = 4096;
constexpr std::uint64_t kRecord = 2 * kGrain; // of 8 bytes, with its header
constexpr std::int64_t kRecords = kCapacity / kRecord;
// Where the counters start: the beginning, just below 2^32, just below 2^64.
constexpr std::uint64_t kStarts[] = {0, (std::uint64_t{1} << 32) - 5 * kGrain,
                                     0 - std::uint64_t{5} * kGrain};

struct Tally {
  std::uint64_t pairs = 0;
  std::uint64_t random_tails = 0;
  std::uint64_t random_words = 0;
  std::uint64_t skips = 0;    // of them
  std::uint64_t crossing = 0; // messages across 2^32 and 2^64
  std::uint64_t wrong = 0;
  std::uint64_t outside = 0;
};

__extension__ typedef __int128 Wide;

struct Verdict {
  Sent outcome;
  Breach breach;
};

// What a sender must say that has sent up to `head`, has seen `seen` and now finds `tail`; for a
// loan of 8 bytes. In 128 bits, where nothing wraps.
Verdict expected(std::uint64_t seen, std::uint64_t head, std::uint64_t tail) {
  if (kCapacity - (head - seen) >= kRecord + kGrain)
    return {Sent::Ok, Breach::None}; // does not look
  if (tail % kGrain != 0) return {Sent::Broken, Breach::TailUnaligned};
  const Wide whole = Wide{1} << 64;
  // The nearest of the positions that are `tail` modulo 2^64.
  Wide distance = Wide{tail} - Wide{seen};
  if (distance >= whole / 2) distance -= whole;
  if (distance < -whole / 2) distance += whole;
  const auto sent = static_cast<Wide>(head - seen);
  if (distance < 0) return {Sent::Broken, Breach::TailBackwards};
  if (distance > sent) return {Sent::Broken, Breach::TailBeyondHead};
  return {sent - distance + kRecord + kGrain <= kCapacity ? Sent::Ok : Sent::Full, Breach::None};
}

class Pairs {
public:
  explicit Pairs(Report& report) : report_(report) {}

  // A sender at `start` that fills `records` records in and then finds the receiver's tail at
  // `tail`.
  void judge_tail(std::uint64_t start, std::int64_t records, std::uint64_t tail) {
    ring_.control()->tail = start;
    *ring_.word(start) = 0;
    RingSender sender = ring_.sender();
    std::span<std::byte> space;
    for (std::int64_t i = 0; i < records; ++i)
      if (sender.loan(8, {}, space, Spacing::Close) == Sent::Ok) sender.commit();
    ring_.control()->tail = tail;
    const Verdict right = expected(start, sender.head(), tail);
    const Sent outcome = sender.loan(8, {}, space, Spacing::Close);
    if (outcome != right.outcome || sender.breach() != right.breach) {
      ++tally.wrong;
      report_.note(fmt::format("start {:#x}, {} records, tail {:#x}: {}", start, records, tail,
                               breach_text(sender.breach())));
    }
    if (outcome == Sent::Ok) {
      if (!ring_.holds(space)) ++tally.outside;
      sender.commit();
    }
  }

  void all_pairs() {
    for (const std::uint64_t start : kStarts)
      for (std::int64_t records = 0; records < kRecords; ++records)
        for (std::int64_t at = -2 * kRecords; at <= 2 * kRecords; ++at) {
          const std::uint64_t tail = start + static_cast<std::uint64_t>(at) * kGrain;
          judge_tail(start, records, tail);
          judge_tail(start, records, tail + 1 + static_cast<std::uint64_t>(records) % 15);
          tally.pairs += 2;
        }
  }

  // Any tail, to a sender that has a full ring, and to a successor that walks from it.
  void random_tail() {
    const std::uint64_t start = random_() & ~std::uint64_t{kGrain - 1};
    std::uint64_t tail = random_() >> (random_() % 64);
    if (tail % 4 != 0) tail &= ~std::uint64_t{kGrain - 1};
    if (tail % 3 == 0) tail = start + (tail & 0x1FFF) - 0x1000;
    ring_.control()->tail = start;
    *ring_.word(start) = 0;
    RingSender sender = ring_.sender();
    std::span<std::byte> space;
    if (sender.loan(3900, {}, space, Spacing::Close) == Sent::Ok) sender.commit();
    ring_.control()->tail = tail;
    const Verdict right = expected(start, sender.head(), tail);
    if (sender.loan(8, {}, space, Spacing::Close) != right.outcome ||
        sender.breach() != right.breach)
      ++tally.wrong;
    const RingSender successor = ring_.sender();
    if (successor.breach() == Breach::None && successor.head() - tail > kCapacity - kGrain)
      ++tally.outside;
    ++tally.random_tails;
  }

  // Any publish word at any place, beside any tail and begun of the receiver before.
  void random_word() {
    const std::uint64_t tail = random_() & ~std::uint64_t{kGrain - 1};
    ring_.control()->tail = tail;
    ring_.control()->begun = random_() % 2 != 0 ? random_() : tail + random_() % 8192;
    RingReceiver receiver = ring_.receiver();
    PublishWord word = PublishWord::unpack(random_());
    if (word.size % 4 != 0) word.tag = tag_of(tail);
    if (word.size % 3 != 0) word.size %= 5000;
    word.type %= 9;
    if (random_() % 4 == 0) { // a skip, or nearly one
      const auto rest = static_cast<std::uint32_t>(kCapacity - tail % kCapacity);
      word = {rest - 16, tag_of(tail), static_cast<std::uint8_t>(random_() % 2 * word.type),
              static_cast<std::uint8_t>(kSkip | (random_() % 2 * word.flags))};
      if (random_() % 4 == 0) word.size += static_cast<std::uint32_t>(16 - random_() % 32);
    }
    *ring_.word(0) = 0; // behind a skip there is nothing
    *ring_.word(tail) = word.pack();
    View view;
    const Got outcome = receiver.next(view);
    const Wide unit = (word.flags & kApart) != 0 ? kPair : kGrain;
    const Wide end = (Wide{tail} + word.header_size() + word.size + unit - 1) / unit * unit;
    const bool skips = word.flags == kSkip && word.type == 0 && end % kCapacity == 0;
    const bool fits = word.tag == tag_of(tail) && word.type < kMessageTypeCount &&
                      ((word.flags & ~kKnownFlags) == 0 || skips) &&
                      end - Wide{tail} + kGrain <= kCapacity &&
                      word.size <= largest_payload(kCapacity);
    const Got found = skips ? Got::Empty : Got::Message;
    const Got right = word.pack() == 0 ? Got::Empty : fits ? found : Got::Broken;
    if (fits && skips) {
      if (receiver.tail() != tail + (word.end(tail) - tail)) ++tally.wrong;
      ++tally.skips;
    }
    if (outcome != right) ++tally.wrong;
    if (outcome == Got::Message) {
      if (!ring_.holds(view.payload)) ++tally.outside;
      receiver.release(view);
    }
    ++tally.random_words;
  }

  // Numbered messages through a ring whose counters start just below a limit.
  void cross(std::uint64_t start) {
    ring_.control()->tail = ring_.control()->begun = start;
    for (std::uint64_t grain = 0; grain < kCapacity; grain += kGrain) *ring_.word(grain) = 0;
    RingSender sender = ring_.sender();
    RingReceiver receiver = ring_.receiver();
    std::uint64_t sent = 0;
    std::span<std::byte> space;
    View view;
    for (std::uint64_t received = 0; received < 1000;) {
      const auto size = static_cast<std::uint32_t>(8 + sent * 37 % 900);
      const auto spacing = random_() % 2 != 0 ? Spacing::Close : Spacing::Apart;
      const bool moved = sender.loan(size, {}, space, spacing) == Sent::Ok;
      if (moved) {
        std::memcpy(space.data(), &sent, sizeof sent);
        sender.commit();
        ++sent;
      }
      if (moved && random_() % 2 != 0) continue;
      if (receiver.next(view) == Got::Message) {
        if (std::memcmp(view.payload.data(), &received, sizeof received) != 0 ||
            view.info.redelivered || view.payload.size() != 8 + received * 37 % 900)
          ++tally.wrong;
        receiver.release(view);
        ++received;
        ++tally.crossing;
      } else if (!moved) {
        ++tally.wrong;
        report_.note("the ring stands still");
        return;
      }
    }
  }

  Tally tally;

private:
  GuardedRing ring_{kCapacity};
  std::mt19937_64 random_{11};
  Report& report_;
};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kRandom = 1'000'000;
#else
constexpr int kRandom = 10'000'000;
#endif

int soak(double seconds) {
  Report report("pairs");
  Pairs pairs(report);
  const auto began = Clock::now();
  pairs.all_pairs();
  for (const std::uint64_t start : kStarts)
    for (int i = 0; i < 20; ++i) pairs.cross(start - static_cast<std::uint64_t>(i) * kGrain);
  do {
    for (int i = 0; i < kRandom; ++i) {
      pairs.random_tail();
      pairs.random_word();
    }
  } while (std::chrono::duration<double>(Clock::now() - began).count() < seconds);

  const Tally& tally = pairs.tally;
  const std::uint64_t all = tally.pairs + tally.random_tails + tally.random_words + tally.crossing;
  report.zero("wrong verdicts", tally.wrong, all, "judgements");
  report.zero("steps outside the ring", tally.outside, all, "judgements");
  report.figure("pairs of head and tail of a small ring: all", static_cast<double>(tally.pairs),
                "pairs");
  report.figure("random tails, 64 bits", static_cast<double>(tally.random_tails), "");
  report.figure("random publish words, 64 bits", static_cast<double>(tally.random_words), "");
  report.figure("of them skips", static_cast<double>(tally.skips), "");
  report.figure("messages across 2^32 and 2^64", static_cast<double>(tally.crossing), "");
  return report.finish();
}

} // namespace
} // namespace mohhos::soak

int main(int argc, char** argv) {
  return mohhos::soak::soak(mohhos::soak::seconds_argument(argc, argv, 0));
}
