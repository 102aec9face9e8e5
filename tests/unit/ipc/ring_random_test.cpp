// Rings under everything that their two sides may do, in any order, beside a queue that says what
// must come of it; and under words that a hostile sender may write, beside the rules of
// docs/ring-format.md as they stand there.
#include <algorithm>
#include <deque>
#include <random>

#include <gtest/gtest.h>

#include "ring_memory.hpp"

namespace mohhos::ipc {
namespace {

using testing::Pair;
using testing::text_of;
using testing::Writable;
using Sent = RingSender::Outcome;
using Got = RingReceiver::Outcome;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kSteps = 10'000;
constexpr int kWords = 100'000;
#else
constexpr int kSteps = 100'000;
constexpr int kWords = 1'000'000;
#endif

// A channel whose two sides begin at `position`, as if as many bytes had gone through it.
struct PairFrom : Pair {
  PairFrom(std::uint64_t ring_bytes, std::uint64_t position, const Laps& laps)
      : Pair(ring_bytes, Loss::Never, false, laps) {
    const Writable words(*this);
    words.control()->tail = words.control()->begun = position;
    new_sender();
    new_receiver();
  }
};

class Play {
public:
  Play(std::uint64_t ring_bytes, std::uint64_t position, const Laps& laps, std::uint32_t seed)
      : ring_(ring_bytes, position, laps), memory_(ring_), random_(seed) {}

  void step() {
    switch (below(32)) {
    case 0: forget(); break;
    case 1: ring_.sender->return_memory(); break;
    case 2: (void)ring_.sender->ring().must_wake(); break;
    case 3:
      if (below(20) == 0) ring_.new_sender();
      break;
    case 4:
      if (below(20) == 0) succeed_receiver();
      break;
    default:
      // For a while one side is quicker, then the other.
      if (below(100) == 0) eager_ = below(4);
      if (below(4) <= eager_)
        send();
      else
        receive();
    }
    // What makes all of it safe: no record behind the last one, whatever lay there.
    ASSERT_EQ(*memory_.word(ring_.sender->ring().head()), 0U);
    ASSERT_EQ(ring_.sender->ring().breach(), Breach::None);
    ASSERT_EQ(ring_.receiver->ring().breach(), Breach::None);
    // High water is of messages, whatever was skipped.
    ASSERT_LE(ring_.sender->ring().counters().high_water, most_used_);
    const std::uint64_t skip_end = memory_.header()->skip_end;
    skips_ += std::exchange(skip_end_, skip_end) != skip_end;
  }
  void finish() {
    while (!sent_.empty() && !::testing::Test::HasFatalFailure()) receive();
    View view;
    EXPECT_EQ(ring_.receiver->next(view), Got::Empty);
    if (!out_.empty()) ring_.receiver->release(out_.back());
    ring_.sender->ring().forget_loan();
    EXPECT_TRUE(ring_.sender->ring().drained());
  }
  [[nodiscard]] std::uint64_t skips() const { return skips_; }
  [[nodiscard]] std::uint64_t taken() const { return taken_; }

private:
  struct Expected {
    std::uint64_t correlation = 0;
    std::uint64_t id = 0;
    std::string text;
    bool durable = false;
    std::uint64_t extent = 0;
  };

  std::uint32_t below(std::uint32_t limit) { return static_cast<std::uint32_t>(random_() % limit); }
  // Of every order of magnitude, and those that fill the ring to its last bytes.
  std::uint32_t size() {
    const auto largest = static_cast<std::uint32_t>(largest_payload(ring_.capacity));
    switch (below(8)) {
    case 0: return largest - below(std::min(largest, 300U));
    case 1: return below(largest);
    case 2: return below(std::min(largest, 9000U));
    case 3: return below(1500);
    case 4: return last_size_;
    default: return below(150);
    }
  }
  // Publish words of the places where they lie, now and on the next lap.
  void fill(std::span<std::byte> bytes) {
    const std::uint64_t lap = below(2) * ring_.capacity;
    const std::uint64_t from = ring_.sender->ring().head() + lap + sizeof(RecordHeader);
    for (std::size_t i = 0; i + 8 <= bytes.size(); i += 8) {
      const std::uint64_t word =
          PublishWord{.size = 1, .tag = tag_of((from + i) / kGrain * kGrain), .type = 7}.pack();
      std::memcpy(bytes.data() + i, &word, sizeof word);
    }
    for (std::size_t i = bytes.size() / 8 * 8; i < bytes.size(); ++i) bytes[i] = std::byte{0xFF};
  }
  Sent loan(const Outgoing& about, std::span<std::byte>& space) {
    last_size_ = size();
    const Spacing spacing = below(2) == 0 ? Spacing::Close : Spacing::Apart;
    return ring_.sender->ring().loan(last_size_, about, space, spacing);
  }
  void forget() {
    std::span<std::byte> space;
    if (loan({}, space) != Sent::Ok) return;
    fill(space);
    if (below(2) == 0) ring_.sender->ring().forget_loan();
  }
  void send() {
    Outgoing about{.type = static_cast<MessageType>(below(8)),
                   .priority = static_cast<Priority>(below(4)),
                   .durable = below(8) == 0};
    if (below(4) == 0) about.correlation = random_();
    const std::uint64_t room = ring_.capacity - (ring_.sender->ring().head() - tail());
    std::span<std::byte> space;
    const Sent outcome = loan(about, space);
    if (outcome == Sent::Full) {
      ASSERT_LT(room, last_size_ + 48U + kPair + kGrain); // there was none indeed
      return;
    }
    ASSERT_EQ(outcome, Sent::Ok);
    ASSERT_EQ(space.size(), last_size_);
    fill(space);
    std::string text = text_of(space);
    const std::uint64_t id = ring_.sender->commit(below(2) == 0);
    const std::uint64_t extent = ring_.sender->ring().head() - (id - 1) * kGrain;
    sent_.push_back({about.correlation, id, std::move(text), about.durable, extent});
    most_used_ = std::max(most_used_, used_ += extent);
  }
  void receive() {
    View view;
    const Got got = ring_.receiver->next(view);
    if (next_ == sent_.size()) {
      ASSERT_EQ(got, Got::Empty);
    } else {
      ASSERT_EQ(got, Got::Message);
      const Expected& expected = sent_[next_++];
      ASSERT_EQ(view.info.id, expected.id);
      ASSERT_EQ(view.info.correlation, expected.correlation);
      ASSERT_EQ(view.info.durable, expected.durable);
      ASSERT_EQ(view.info.redelivered, again_ != 0);
      if (again_ != 0) --again_;
      ASSERT_EQ(text_of(view.payload), expected.text);
      ++taken_;
      begun_ = next_;
      out_.push_back(view);
    }
    // Late, and several at once.
    if (out_.empty() || (got == Got::Message && below(3) == 0)) return;
    const std::size_t many = 1 + below(static_cast<std::uint32_t>(out_.size()));
    ring_.receiver->release(out_[many - 1]);
    out_.erase(out_.begin(), out_.begin() + static_cast<std::ptrdiff_t>(many));
    for (std::size_t i = 0; i < many; ++i) used_ -= sent_[i].extent;
    sent_.erase(sent_.begin(), sent_.begin() + static_cast<std::ptrdiff_t>(many));
    next_ -= many;
    begun_ -= std::min(begun_, many);
  }
  void succeed_receiver() {
    again_ = begun_;
    next_ = 0;
    out_.clear();
    ring_.new_receiver();
  }
  [[nodiscard]] std::uint64_t tail() const { return ring_.receiver->ring().tail(); }

  PairFrom ring_;
  Writable memory_;
  std::mt19937_64 random_;
  std::deque<Expected> sent_; // and not released
  std::deque<View> out_;      // not released; the first of `sent_`
  std::size_t next_ = 0;      // of `sent_`, at the receiver
  std::size_t begun_ = 0;     // of `sent_`, by this receiver or one before it
  std::size_t again_ = 0;     // so many come again
  std::uint64_t taken_ = 0;
  std::uint64_t used_ = 0; // by what is not released
  std::uint64_t most_used_ = 0;
  std::uint64_t skip_end_ = 0; // as last seen
  std::uint64_t skips_ = 0;
  std::uint32_t last_size_ = 0;
  std::uint32_t eager_ = 1;
};

struct Place {
  std::uint64_t ring_bytes;
  std::uint64_t position;
  Laps laps = {};
};
constexpr Place kPlaces[] = {
    {4096, 0},
    {4096, (std::uint64_t{1} << 32) - 4096 - 16},
    {4096, 0 - std::uint64_t{100'016}},
    {8192, (std::uint64_t{1} << 63) - 8192 * 3},
    {65536, 0 - std::uint64_t{kPair}},
    {262144, 0 - std::uint64_t{3'000'000}},
    {16384, 0 - std::uint64_t{50'000}, testing::kTestLaps},
    {65536, (std::uint64_t{1} << 32) - 48, testing::kTestLaps},
    {kDefaultRing, 0 - std::uint64_t{1'000'000}, {.bytes = kShortLap, .dense_ns = 0}},
    {kDefaultRing, 0, {.bytes = kShortLap, .dense_ns = UINT64_MAX / kDefaultRing}},
};

TEST(RandomRing, DoesWhatAQueueWouldAndEndsWithAZero) {
  std::uint32_t seed = 1;
  for (const Place& place : kPlaces) {
    Play play(place.ring_bytes, place.position, place.laps, ++seed);
    const int steps = kSteps / (place.ring_bytes > 262144 ? 50 : place.ring_bytes > 8192 ? 10 : 2);
    for (int i = 0; i < steps; ++i) {
      ASSERT_NO_FATAL_FAILURE(play.step())
          << "step " << i << " at " << place.position << " of " << place.ring_bytes;
    }
    ASSERT_NO_FATAL_FAILURE(play.finish());
    EXPECT_GT(play.taken(), static_cast<std::uint64_t>(steps) / 20);
    if (place.laps.dense_ns == 0 && place.ring_bytes < kDefaultRing) {
      EXPECT_GT(play.skips(), static_cast<std::uint64_t>(steps) / 1000);
    }
  }
}

// What a lossy ring gives is what was sent under that number, in order, and the rest is counted.
TEST(RandomRing, ThatLosesItsOldestCountsEachMessageOnce) {
  for (const std::uint64_t capacity : {std::uint64_t{4096}, std::uint64_t{65536}}) {
    std::mt19937_64 random(capacity);
    Pair ring(capacity, Loss::Oldest);
    const Writable memory(ring);
    std::vector<std::string> sent; // by the event's number, less 1
    std::uint64_t received = 0;
    std::uint64_t eager = 1;
    const auto loan = [&](std::span<std::byte>& space) {
      const auto size = random() % (random() % 8 == 0 ? largest_payload(capacity) + 1 : 200);
      const Spacing spacing = random() % 2 == 0 ? Spacing::Close : Spacing::Apart;
      return ring.sender->ring().loan(static_cast<std::uint32_t>(size), {}, space, spacing);
    };
    const auto receive = [&] {
      View view;
      const Got got = ring.receiver->next(view);
      ASSERT_NE(got, Got::Broken) << breach_text(ring.receiver->ring().breach());
      if (got == Got::Empty) return;
      ++received;
      const ReceiverCounters& mine = ring.receiver->ring().counters();
      ASSERT_EQ(mine.dropped + received, mine.next_event - 1);
      ASSERT_LE(mine.next_event - 1, sent.size());
      ASSERT_EQ(text_of(view.payload), sent[mine.next_event - 2]);
      ring.receiver->release(view);
    };
    for (int step = 0; step < kSteps / 4; ++step) {
      if (random() % 100 == 0) eager = random() % 4;
      if (random() % 300 == 0) ring.new_sender();
      if (random() % 300 == 0) ring.new_receiver();
      if (random() % 50 == 0) ring.sender->return_memory();
      std::span<std::byte> space;
      if (random() % 4 > eager) {
        ASSERT_NO_FATAL_FAILURE(receive()) << "step " << step;
      } else {
        ASSERT_EQ(loan(space), Sent::Ok);
        std::ranges::fill(space, static_cast<std::byte>(random()));
        if (random() % 16 == 0) continue; // forgotten
        sent.push_back(text_of(space));
        ring.sender->commit();
      }
      ASSERT_EQ(*memory.word(ring.sender->ring().head()), 0U) << "step " << step;
    }
    while (ring.receiver->ready()) ASSERT_NO_FATAL_FAILURE(receive());
    EXPECT_EQ(received + ring.receiver->ring().counters().dropped, sent.size());
    EXPECT_GT(received, sent.size() / 10);
  }
}

// --- a hostile sender ---

// 'What breaks a channel', rule by rule.
Breach verdict(PublishWord word, std::uint64_t position, std::uint64_t tail,
               std::uint64_t capacity) {
  const std::uint64_t l = position / 16;
  if (word.tag != (0x8000U | ((l + (l >> 15)) & 0x7FFFU))) return Breach::WrongTag;
  if (word.type >= 8) return Breach::WrongType;
  const bool skips = word.flags == 0x80U && word.type == 0 &&
                     (position + 16 + word.size + 15) / 16 * 16 % capacity == 0;
  if ((word.flags & 0x80U) != 0 && !skips) return Breach::WrongFlags;
  if (word.size > capacity - 64) return Breach::TooLong;
  const std::uint64_t unit = (word.flags & 0x40U) != 0 ? 128 : 16;
  const std::uint64_t header = (word.flags & 0x04U) != 0 ? 48 : 16;
  const std::uint64_t end = (position + header + word.size + unit - 1) / unit * unit;
  if (end - position + 16 > capacity - (position - tail)) return Breach::Overrun;
  return Breach::None;
}

constexpr std::uint64_t kRing = 4096;

// Sizes around every limit, and words that are right but for one bit.
PublishWord hostile_word(std::mt19937_64& random, std::uint64_t position, std::uint64_t room) {
  PublishWord word = PublishWord::unpack(random());
  word.tag = tag_of(position);
  word.type &= 7U;
  word.flags &= kKnownFlags;
  if (random() % 4 != 0) word.flags &= static_cast<std::uint8_t>(kPriorityMask | kDurable | kApart);
  const auto near = static_cast<std::uint32_t>(room - random() % 300);
  if (const auto kind = random() % 8; kind != 0)
    word.size = kind < 4 ? near : word.size % (kind == 4 ? 5000 : 200);
  if (random() % 8 == 0) { // a skip, or nearly one
    const auto rest = static_cast<std::uint32_t>(kRing - position % kRing);
    word = {rest - 16 - static_cast<std::uint32_t>(random() % 2), word.tag, 0, kSkip};
    if (random() % 4 == 0) word.size += static_cast<std::uint32_t>(16 - random() % 32);
  }
  const std::uint64_t bit = random() % 8 == 0 ? std::uint64_t{1} << (random() % 64) : 0;
  return PublishWord::unpack(word.pack() ^ bit);
}

TEST(RandomWords, OfAHostileSenderAreJudgedByTheRulesAsTheyAreWritten) {
  std::mt19937_64 random(11);
  std::uint64_t verdicts[static_cast<std::size_t>(Breach::OldestUnaligned) + 1] = {};
  const Pair pair(2 * kRing); // the other half stands for the second mapping
  const Writable memory(pair);
  const auto* const base = reinterpret_cast<const std::byte*>(memory.word(0));
  const auto word_at = [&](std::uint64_t position) { return memory.word(position % kRing); };
  std::uint64_t position = 0;
  std::uint64_t skipped = 0;
  for (int words = 0; words < kWords;) {
    position -= 16 * (1 + random() % 1000);
    memory.control()->tail = memory.control()->begun = position;
    RingReceiver receiver({.header = memory.header(),
                           .map = RingMap<const std::byte>::of(base, kRing),
                           .control = memory.control()});
    std::vector<View> out;
    for (Breach breach = Breach::None; breach == Breach::None && ++words < kWords;) {
      const std::uint64_t room = kRing - (position - receiver.tail());
      const PublishWord word = hostile_word(random, position, room + 100);
      *word_at(position) = word.pack();
      breach = verdict(word, position, receiver.tail(), kRing);
      ++verdicts[static_cast<std::size_t>(breach)];
      View view;
      const bool skips = (word.flags & kSkip) != 0;
      const Got right = breach != Breach::None ? Got::Broken : skips ? Got::Empty : Got::Message;
      const Got got = receiver.next(view);
      *word_at(position) = 0;
      ASSERT_EQ(got, right);
      ASSERT_EQ(receiver.breach(), breach) << breach_text(breach);
      if (breach != Breach::None) break;
      if (skips) {
        ++skipped;
        position = word.end(position);
        if (out.empty()) {
          ASSERT_EQ(receiver.tail(), position);
        }
        continue;
      }
      const bool extended = (word.flags & kExtended) != 0;
      ASSERT_EQ(view.payload.data(), base + position % kRing + (extended ? 48 : 16));
      ASSERT_EQ(view.payload.size(), word.size);
      ASSERT_EQ(view.info.size, word.size);
      ASSERT_EQ(static_cast<unsigned>(view.info.type), word.type);
      ASSERT_EQ(static_cast<unsigned>(view.info.priority), word.flags & 3U);
      ASSERT_EQ(view.info.failed, (word.flags & kFailed) != 0);
      ASSERT_EQ(view.info.cancels, (word.flags & kCancels) != 0);
      ASSERT_EQ(view.info.durable, (word.flags & kDurable) != 0);
      ASSERT_EQ(view.end, word.end(position));
      position = view.end;
      out.push_back(view);
      if (random() % 2 != 0) continue;
      receiver.release(out.back());
      out.clear();
    }
  }
  EXPECT_GT(skipped, 100U);
  for (const Breach breach : {Breach::None, Breach::WrongTag, Breach::WrongType, Breach::WrongFlags,
                              Breach::TooLong, Breach::Overrun})
    EXPECT_GT(verdicts[static_cast<std::size_t>(breach)], 100U) << breach_text(breach);
}

} // namespace
} // namespace mohhos::ipc
