// Counts words.
//
// Requests: "top N"     the N most frequent, one 'count word' per line, ties in order of the word's
// bytes
//           "count W"   how often W came
//           "stats"     JSON: messages, words, seconds, messages_per_second, latencies in
//           nanoseconds, done "wait"      as stats, but answered when the whole input has been
//           counted
//
// The table is bounded (config table_mb): words that find no room are counted together as
// "overflow", so that the totals stay right and a hostile input costs no more memory than a long
// one.
#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <mohhos/sdk.hpp>

#include "../wordpipe/wordpipe.hpp"

namespace {

// Looks up a view without making a string of it.
struct Hash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>{}(text);
  }
};

class Table {
public:
  explicit Table(std::size_t most_bytes) : room_(most_bytes) {}

  void count(std::string_view word) {
    ++total_;
    if (const auto found = counts_.find(word); found != counts_.end()) {
      ++found->second;
      return;
    }
    const std::size_t cost = kEntryCost + word.size();
    if (cost > room_) {
      ++overflow_;
      return;
    }
    room_ -= cost;
    counts_.emplace(word, 1);
  }

  [[nodiscard]] std::uint64_t of(std::string_view word) const {
    const auto found = counts_.find(word);
    return found != counts_.end() ? found->second : 0;
  }
  [[nodiscard]] std::uint64_t total() const { return total_; }
  [[nodiscard]] std::uint64_t overflow() const { return overflow_; }
  [[nodiscard]] std::size_t distinct() const { return counts_.size(); }

  [[nodiscard]] std::string top(std::size_t wanted) const {
    using Entry = std::unordered_map<std::string, std::uint64_t>::value_type;
    std::vector<const Entry*> order;
    order.reserve(counts_.size());
    for (const auto& entry : counts_) order.push_back(&entry);
    wanted = std::min(wanted, order.size());
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(wanted),
                      order.end(), [](const Entry* a, const Entry* b) {
                        return a->second != b->second ? a->second > b->second : a->first < b->first;
                      });
    std::string lines;
    for (std::size_t i = 0; i < wanted; ++i)
      lines += std::to_string(order[i]->second) + " " + order[i]->first + "\n";
    return lines;
  }

private:
  static constexpr std::size_t kEntryCost =
      96; // a node, its string's head, its share of the buckets

  std::unordered_map<std::string, std::uint64_t, Hash, std::equal_to<>> counts_;
  std::size_t room_;
  std::uint64_t total_ = 0;
  std::uint64_t overflow_ = 0;
};

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

class Wordstat : public mohhos::Plugin {
public:
  void on_message(const mohhos::Message& message) override {
    if (message.wants_reply()) return answer(message);
    if (message.type() == mohhos::MessageType::EventNotify) return mark(message.copy());
    // A hash map reads its key more than once, and the sender could change it in between: copy.
    word_.assign(message.text());
    const std::uint64_t now = now_ns();
    word_latencies_.record(now - message.sent_at_ns());
    if (first_ns_ == 0) first_ns_ = now;
    last_ns_ = now;
    table_.count(word_);
  }

private:
  static constexpr std::size_t kMostLines = 1000;

  void answer(const mohhos::Message& message) {
    const std::string text = message.copy();
    if (text == "stats") return reply(message, stats());
    if (text == "wait") {
      if (done_) return reply(message, stats());
      if (waiting_.size() == kMostWaiting)
        return refuse(message, MOHHOS_E_EXHAUSTED, "too many wait already");
      waiting_.push_back(message.request());
      return;
    }
    if (text.starts_with("count "))
      return reply(message, std::to_string(table_.of(text.substr(6))) + "\n");
    if (text.starts_with("top "))
      if (const auto wanted = parse_number(std::string_view(text).substr(4));
          wanted && *wanted <= kMostLines)
        return reply(message, table_.top(static_cast<std::size_t>(*wanted)));
    refuse(message, MOHHOS_E_INVALID,
           "wordstat answers 'top N' (N up to 1000), 'count WORD', 'stats' and 'wait'");
  }

  void mark(std::string_view marker) {
    if (marker == wordpipe::kBegin) {
      table_ = Table(table_bytes());
      line_latencies_ = word_latencies_ = {};
      first_ns_ = last_ns_ = 0;
      done_ = false;
    }
    if (marker.starts_with(wordpipe::kEnd)) {
      if (const auto latencies = wordpipe::Latencies::parse(marker.substr(wordpipe::kEnd.size())))
        line_latencies_ = *latencies;
      done_ = true;
      for (const auto& request : waiting_) reply(request, stats());
      waiting_.clear();
      info("counted " + std::to_string(table_.total()) + " words");
    }
  }

  [[nodiscard]] std::size_t table_bytes() const {
    return static_cast<std::size_t>(parse_number(config("table_mb").value_or("")).value_or(128))
           << 20U;
  }

  [[nodiscard]] std::string stats() const {
    const std::uint64_t messages = table_.total() + line_latencies_.count();
    const double seconds = static_cast<double>(last_ns_ - first_ns_) / 1e9;
    const double rate = seconds > 0 ? static_cast<double>(messages) / seconds : 0;
    return "{\"done\":" + std::string(done_ ? "true" : "false") +
           ",\"words\":" + std::to_string(table_.total()) +
           ",\"distinct\":" + std::to_string(table_.distinct()) +
           ",\"overflow\":" + std::to_string(table_.overflow()) +
           ",\"messages\":" + std::to_string(messages) + ",\"seconds\":" + std::to_string(seconds) +
           ",\"messages_per_second\":" + std::to_string(static_cast<std::uint64_t>(rate)) +
           ",\"latency_ns\":{\"reader_tokenizer\":" + line_latencies_.json() +
           ",\"tokenizer_wordstat\":" + word_latencies_.json() + "}}";
  }

  static constexpr std::size_t kMostWaiting = 64;

  Table table_{table_bytes()};
  std::string word_; // kept for its memory
  wordpipe::Latencies line_latencies_;
  wordpipe::Latencies word_latencies_;
  std::uint64_t first_ns_ = 0;
  std::uint64_t last_ns_ = 0;
  bool done_ = false;
  std::vector<mohhos::Request> waiting_;
};

} // namespace

MOHHOS_PLUGIN(Wordstat)
