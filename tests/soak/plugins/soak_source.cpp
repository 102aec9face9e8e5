// Sends numbered messages to soak_sink on two lanes, as many as there is room for or at a rate, and
// notes what it sent. ledger.hpp says how it is to be believed.
#include <algorithm>

#include "part.hpp"

namespace {

using namespace mohhos::soak;

constexpr int kSlice = 64;
// One of 64 sends that find no room waits for it.
constexpr std::uint64_t kPatienceNs = 2'000'000;
constexpr auto kPause = std::chrono::microseconds(200);

class Source : public PartOfAStream {
public:
  void on_start() override {
    sink_ = open("soak_sink");
    series_ = ledger_->series[generation()];
    last_ns_ = now_ns();
    ledger_->source.life.set(generation());
  }

  bool on_work() override {
    if (ledger_->stop.get() != 0) {
      ledger_->stopped.set(generation());
      return false;
    }
    const std::uint64_t rate = ledger_->rate.get();
    int due = kSlice;
    if (rate != 0) {
      const std::uint64_t now = now_ns();
      due =
          static_cast<int>(std::min<std::uint64_t>((now - last_ns_) * rate / 1'000'000'000, 1000));
      last_ns_ = now;
    }
    for (int i = 0; i < due; ++i) {
      if (!send_one(i + 1 < due)) break;
    }
    if (rate == 0 && room_) return true;
    wake_after(rate == 0 ? kPause : std::chrono::microseconds(1000));
    return false;
  }

private:
  // On the lane whose turn it is, by chance: one of eight is High.
  bool send_one(bool more) {
    die_if_told(ledger_->source, Place::Before);
    const std::uint64_t lane = mix(turn_) >> 61 == 0 ? 1 : 0;
    Series& series = series_[lane];
    const std::uint64_t number = series.sent.get();
    const std::uint64_t seed = seed_of(generation(), lane, number);
    const std::uint64_t size = size_of(seed, ledger_->largest.get());
    const mohhos_send_options_t options{.struct_size = sizeof options,
                                        .type = 0,
                                        .priority = lane == 1 ? MOHHOS_PRIORITY_HIGH
                                                              : MOHHOS_PRIORITY_NORMAL,
                                        .flags = more ? std::uint32_t{MOHHOS_SEND_MORE} : 0U,
                                        .deadline_ns = 0,
                                        .timeout_ns = turn_ % 64 == 0 ? kPatienceNs : 0,
                                        .memory = 0};
    void* space = nullptr;
    if (!took(host()->loan(host(), sink_.raw(), &options, size, &space))) return false;
    Head head{.life = generation(),
              .lane = static_cast<std::uint32_t>(lane),
              .number = number,
              .sent_at = 0,
              .sum = 0};
    auto* const words = static_cast<std::uint64_t*>(space) + sizeof head / 8;
    head.sum = fill(words, (size - sizeof head) / 8, seed);
    die_if_told(ledger_->source, Place::Within);
    head.sent_at = now_ns();
    std::memcpy(space, &head, sizeof head);
    series.sending.set(number + 1);
    if (!took(host()->commit(host(), sink_.raw()))) return false;
    die_if_told(ledger_->source, Place::Behind);
    series.sent.set(number + 1);
    ++turn_;
    return true;
  }

  bool took(std::int32_t result) {
    room_ = result >= 0;
    if (room_) return true;
    if (result != MOHHOS_E_REFUSED && result != MOHHOS_E_TIMED_OUT &&
        result != MOHHOS_E_PEER_RESTARTED)
      mohhos::detail::demand(result, "sending");
    ledger_->refused.add(1);
    ++turn_;
    return false;
  }

  mohhos::Channel sink_;
  Series* series_ = nullptr;
  std::uint64_t turn_ = 0;
  std::uint64_t last_ns_ = 0;
  bool room_ = true;
};

} // namespace

MOHHOS_PLUGIN(Source)
