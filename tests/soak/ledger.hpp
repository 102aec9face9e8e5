// What is known of a stream of messages, in a file that the source, the sink and the judge map: it
// outlives each process, so nothing that one of them knew dies with it.
//
// The source numbers its messages from 0 in each of its lives and on each of its lanes. It notes a
// number as `sending` before it sends and as `sent` afterwards, so whatever instruction it dies at,
// its ledger is wrong by one message at most and says so: sending == sent + 1. The sink notes the
// next number that it expects, by one store, after it has judged a message. No step needs an answer
// from a process that may be dead.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>

namespace mohhos::soak {

// Shared between processes; everybody but the judge only adds to what is its own.
class Word {
public:
  [[nodiscard]] std::uint64_t get() const { return value_.load(std::memory_order_acquire); }
  void set(std::uint64_t value) { value_.store(value, std::memory_order_release); }
  void add(std::uint64_t more) { set(get() + more); } // one writer
  std::uint64_t take() { return value_.exchange(0); }

private:
  std::atomic<std::uint64_t> value_;
};
static_assert(sizeof(Word) == 8 && std::atomic<std::uint64_t>::is_always_lock_free);

inline constexpr std::uint64_t kLives = 65'536; // generations of a plugin
inline constexpr std::uint64_t kLanes = 2;      // MOHHOS_PRIORITY_NORMAL, _HIGH

// How and where a plugin is to die: one word, taken by who dies of it.
enum class Death : std::uint64_t { None, Segv, Abort, Memory };
enum class Place : std::uint64_t { Before, Within, Behind }; // the send, or the handling
[[nodiscard]] constexpr std::uint64_t order_of(Death death, Place place) {
  return static_cast<std::uint64_t>(death) | static_cast<std::uint64_t>(place) << 8;
}
[[nodiscard]] constexpr Death death_of(std::uint64_t order) {
  return static_cast<Death>(order & 0xFF);
}

// One lane of one life of the source.
struct Series {
  Word sending;  // source: numbers below may have been sent
  Word sent;     // source: numbers below were sent
  Word next;     // sink: numbers below were handled
  Word first_at; // sink: when the first one was handled, ns
};

// Either plugin.
struct Part {
  Word order;   // judge: die
  Word died_at; // who obeys it, ns
  Word life;    // its generation, once it runs
  Word talks;   // sink: when this life handled its first message, ns. Of a source: see Series
};

// Log-linear: 32 steps in each octave of nanoseconds.
struct Histogram {
  static constexpr std::uint64_t kBuckets = 64 * 32;
  Word counts[kBuckets];

  [[nodiscard]] static constexpr std::uint64_t bucket_of(std::uint64_t ns) {
    if (ns < 32) return ns;
    const auto octave = static_cast<std::uint64_t>(std::bit_width(ns)) - 1;
    return (octave - 4) * 32 + (ns >> (octave - 5) & 31);
  }
  [[nodiscard]] static constexpr std::uint64_t lowest_of(std::uint64_t bucket) {
    return bucket < 32 ? bucket : (32 + bucket % 32) << (bucket / 32 - 1);
  }
};
static_assert(Histogram::bucket_of(32) == 32 && Histogram::lowest_of(32) == 32);
static_assert(Histogram::bucket_of(1000) ==
              Histogram::bucket_of(Histogram::lowest_of(Histogram::bucket_of(1000))));

// What the sink finds wrong.
enum class Fault : std::uint64_t { Torn, Lost, Reordered, Again, Unflagged, Flagged };
inline constexpr std::uint64_t kFaults = 6;
inline constexpr const char* kFaultTexts[kFaults] = {
    "torn messages",
    "lost messages",
    "messages after later ones",
    "messages again that were acknowledged",
    "messages again without a flag",
    "flagged messages that nobody had begun",
};

struct Ledger {
  Word largest; // judge: bytes of a payload; sizes are mixed up to it
  Word rate;    // judge: messages per second, 0: as many as there is room for
  Word window;  // judge: the histogram that the sink counts in
  Word stop;    // judge: the source is to send no more
  Word stopped; // source: the life that obeyed
  Word handled; // sink: messages, redelivered ones too
  Word bytes;   // sink
  Word redelivered;
  Word refused;        // source: sends that found no room, a dead peer, or a time that was over
  Word latest[kLanes]; // sink: highest life of the source that it had something of
  Word faults[kFaults];
  Word first_fault[5]; // life of the source, lane, number, number expected, fault + 1
  alignas(64) Part source;
  alignas(64) Part sink;
  Histogram latency[3];
  Series series[kLives][kLanes];
};

// --- payload: everything about a message follows from its life, lane and number ---

struct Head {
  std::uint32_t life;
  std::uint32_t lane;
  std::uint64_t number;
  std::uint64_t sent_at;
  std::uint64_t sum; // of all that follows, and of the words above but sent_at
};
inline constexpr std::uint64_t kSmallest = sizeof(Head);

[[nodiscard]] constexpr std::uint64_t mix(std::uint64_t value) {
  value = (value ^ value >> 31) * 0x9E3779B97F4A7C15U;
  return value ^ value >> 29;
}
[[nodiscard]] constexpr std::uint64_t seed_of(std::uint64_t life, std::uint64_t lane,
                                              std::uint64_t number) {
  return mix(number + (life << 40) + (lane << 60));
}
// Mostly small; one in 16 up to `largest`. A multiple of 8.
[[nodiscard]] constexpr std::uint64_t size_of(std::uint64_t seed, std::uint64_t largest) {
  const std::uint64_t span = (seed >> 60) == 0 ? largest - kSmallest : largest / 256;
  return kSmallest + (span == 0 ? 0 : (seed >> 8) % (span + 1) / 8 * 8);
}
// Fills the words behind the head; returns their sum.
[[nodiscard]] inline std::uint64_t fill(std::uint64_t* words, std::uint64_t count,
                                        std::uint64_t seed) {
  std::uint64_t sum = seed;
  for (std::uint64_t i = 0; i < count; ++i) {
    words[i] = seed + i * 0x9E3779B97F4A7C15U;
    sum = (sum << 7 | sum >> 57) + words[i];
  }
  return sum;
}
// Whether they are what fill() wrote.
[[nodiscard]] inline bool is_filled(const std::uint64_t* words, std::uint64_t count,
                                    std::uint64_t seed, std::uint64_t sum) {
  std::uint64_t found = seed;
  bool same = true;
  for (std::uint64_t i = 0; i < count; ++i) {
    same = same && words[i] == seed + i * 0x9E3779B97F4A7C15U;
    found = (found << 7 | found >> 57) + words[i];
  }
  return same && found == sum;
}

} // namespace mohhos::soak
