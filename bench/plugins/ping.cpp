// Measures the real path between two confined plugins. Requests, each answered when it is through:
//   "latency COUNT SIZE"     COUNT round trips with pong; answers half of each, sorted: "p50 p90
//   p99 max" in ns "throughput COUNT SIZE"  COUNT messages to pong, one after the other; answers
//   "nanoseconds"
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include <mohhos/sdk.hpp>

namespace {

class Ping : public mohhos::Plugin {
public:
  void on_start() override { pong_ = open("pong"); }

  void on_message(const mohhos::Message& message) override {
    if (message.wants_reply()) return begin(message);
    if (is_flood_) return finish(std::to_string(now_ns() - sent_at_)); // pong has had the last one
    halves_.push_back((now_ns() - sent_at_) / 2);
    halves_.size() < count_ ? send_one() : finish(percentiles());
  }

  bool on_work() override {
    if (!is_flood_ || left_ == 0) return false;
    for (int i = 0; i < 512 && left_ > 0; ++i, --left_) {
      pong_.send(payload_, {.timeout = mohhos::kForever, .more = left_ > 1});
    }
    if (left_ == 0) pong_.send("flush", {.timeout = mohhos::kForever});
    return left_ > 0;
  }

private:
  void begin(const mohhos::Message& message) {
    char what[16] = {};
    unsigned long count = 0;
    unsigned long size = 0;
    const std::string text = message.copy();
    if (std::sscanf(text.c_str(), "%15s %lu %lu", what, &count, &size) != 3 || count == 0 ||
        asked_.sender != 0) {
      return refuse(message, MOHHOS_E_INVALID, "latency|throughput COUNT SIZE, one at a time");
    }
    asked_ = message.request();
    payload_.assign(std::max<std::size_t>(size, 8), 'x');
    count_ = left_ = count;
    halves_.clear();
    halves_.reserve(count);
    is_flood_ = std::string_view(what) == "throughput";
    sent_at_ = now_ns();
    is_flood_ ? wake() : send_one();
  }

  void send_one() {
    sent_at_ = now_ns();
    pong_.send(payload_);
  }

  std::string percentiles() {
    std::sort(halves_.begin(), halves_.end());
    const auto at = [this](double share) {
      return std::to_string(
                 halves_[static_cast<std::size_t>(share * static_cast<double>(count_ - 1))]) +
             " ";
    };
    return at(0.5) + at(0.9) + at(0.99) + at(1);
  }

  void finish(const std::string& answer) {
    is_flood_ = false;
    reply(std::exchange(asked_, {}), answer);
  }

  mohhos::Channel pong_;
  mohhos::Request asked_{};
  std::string payload_;
  std::vector<std::uint64_t> halves_;
  std::size_t count_ = 0;
  std::size_t left_ = 0;
  std::uint64_t sent_at_ = 0;
  bool is_flood_ = false;
};

} // namespace

MOHHOS_PLUGIN(Ping)
