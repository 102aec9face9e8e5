// What reader, tokenizer and wordstat say to each other.
//
//   reader    → tokenizer  one Custom message per line: its bytes without the '\n'
//   tokenizer → wordstat   one Custom message per word: UTF-8, folded
//   both                   EventNotify: kBegin before the first of them, kEnd behind the last
//
// kEnd carries, behind its word, the latencies that the sender of kEnd has measured on the hop
// before it, so that the last plugin knows about all hops.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace wordpipe {

inline constexpr std::string_view kBegin = "begin";
inline constexpr std::string_view kEnd = "end";

// A line longer than this is cut at a blank (or, without one, between two characters).
inline constexpr std::size_t kLongestLine = 8 * 1024;

// How long messages took, from being published to being handled. Buckets grow with the value: 16
// for each power of two, so that a percentile is at most 6 % too high. Fixed size: any run, however
// long, fits.
class Latencies {
public:
  void record(std::uint64_t ns) {
    ++buckets_[bucket_of(ns)];
    max_ = std::max(max_, ns);
    ++count_;
  }

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::uint64_t max() const { return max_; }

  // The value that this share (0 … 1) of all messages did not exceed.
  [[nodiscard]] std::uint64_t percentile(double share) const {
    const auto wanted = static_cast<std::uint64_t>(std::ceil(static_cast<double>(count_) * share));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
      seen += buckets_[i];
      if (seen >= wanted && seen > 0) return std::min(top_of(i), max_);
    }
    return max_;
  }

  // {"count":…,"p50":…,…}: nanoseconds.
  [[nodiscard]] std::string json() const {
    const auto field = [this](const char* name, double share) {
      return std::string("\"") + name + "\":" + std::to_string(percentile(share)) + ",";
    };
    return "{\"count\":" + std::to_string(count_) + "," + field("p50", 0.5) + field("p90", 0.9) +
           field("p99", 0.99) + field("p99_9", 0.999) + "\"max\":" + std::to_string(max_) + "}";
  }

  // As bytes behind kEnd, and back. Any bytes are either a Latencies or nothing.
  void append_to(std::string& bytes) const {
    bytes.append(reinterpret_cast<const char*>(this), sizeof *this);
  }
  [[nodiscard]] static std::optional<Latencies> parse(std::string_view bytes) {
    if (bytes.size() != sizeof(Latencies)) return std::nullopt;
    Latencies result;
    std::memcpy(static_cast<void*>(&result), bytes.data(), sizeof result);
    return result;
  }

private:
  static constexpr unsigned kBits = 4; // 2^4 buckets for each power of two
  static constexpr std::size_t kBuckets = (64 - kBits) << kBits;

  static std::size_t bucket_of(std::uint64_t ns) {
    if (ns < (1U << kBits)) return static_cast<std::size_t>(ns);
    const auto shift = static_cast<unsigned>(std::bit_width(ns)) - kBits - 1;
    const std::size_t bucket =
        (std::size_t{shift} << kBits) + static_cast<std::size_t>(ns >> shift);
    return std::min(bucket, kBuckets - 1);
  }
  static std::uint64_t top_of(std::size_t bucket) {
    if (bucket < (2U << kBits)) return bucket;
    const std::size_t shift = (bucket >> kBits) - 1;
    const std::uint64_t mantissa = (bucket & ((1U << kBits) - 1)) + (1U << kBits);
    return ((mantissa + 1) << shift) - 1;
  }

  std::array<std::uint32_t, kBuckets> buckets_{};
  std::uint64_t max_ = 0;
  std::uint64_t count_ = 0;
};

} // namespace wordpipe
