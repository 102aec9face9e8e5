// What is compared with what: one way to move messages between two processes.
//
// A Talker is one side's view of it: send() one message, receive() one, each returning when that is
// done; one that gathers messages has send_more() too, for all but the last of a flow. Duel turns a
// talker into the slices that the pair runs. The work with the payload is the
// same for all: the sender fills it, the receiver looks at it (payload.hpp), so that nothing is
// free because nobody touched it; where that is not wanted, the row says so.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "histogram.hpp"

namespace mohhos::bench {

enum class Side : std::uint8_t { First = 0, Second = 1 };
[[nodiscard]] constexpr std::size_t index(Side side) {
  return static_cast<std::size_t>(side);
}
[[nodiscard]] constexpr Side other(Side side) {
  return side == Side::First ? Side::Second : Side::First;
}

class Contestant {
public:
  explicit Contestant(bool same_core) : same_core_(same_core) {}
  virtual ~Contestant() = default;
  Contestant(const Contestant&) = delete;
  Contestant& operator=(const Contestant&) = delete;

  // In each of the two processes, at the same time, before the first slice; not yet pinned, so that
  // threads of a library's own may run where they like. Returns why it cannot take part, or
  // nothing.
  [[nodiscard]] virtual std::optional<std::string> open(Side side) = 0;

  // Round trips: the first process pings, the second echoes.
  virtual void ping(std::uint64_t count) = 0;
  virtual void ping_timed(std::uint64_t count, Histogram& half_round_trips) = 0;
  virtual void echo(std::uint64_t count) = 0;
  // A flow: the first sends `count`, the second takes them and says so with one message.
  virtual void pour(std::uint64_t count) = 0;
  virtual void drain(std::uint64_t count) = 0;

  // Both processes on one CPU.
  [[nodiscard]] bool same_core() const { return same_core_; }

private:
  bool same_core_;
};

template <class Talker>
class Duel final : public Contestant {
public:
  template <class... Arguments>
  explicit Duel(bool same_core, Arguments&&... arguments)
      : Contestant(same_core), talker_(std::forward<Arguments>(arguments)...) {}

  std::optional<std::string> open(Side side) override { return talker_.open(side); }
  void ping(std::uint64_t count) override {
    for (std::uint64_t i = 0; i < count; ++i) {
      talker_.send();
      talker_.receive();
    }
  }
  void ping_timed(std::uint64_t count, Histogram& half_round_trips) override {
    std::uint64_t before = ticks();
    for (std::uint64_t i = 0; i < count; ++i) {
      talker_.send();
      talker_.receive();
      const std::uint64_t now = ticks();
      half_round_trips.add((now - before) / 2);
      before = now;
    }
  }
  void echo(std::uint64_t count) override {
    for (std::uint64_t i = 0; i < count; ++i) {
      talker_.receive();
      talker_.send();
    }
  }
  void pour(std::uint64_t count) override {
    for (std::uint64_t i = 1; i < count; ++i) send_more();
    talker_.send();
    talker_.receive();
  }
  void drain(std::uint64_t count) override {
    for (std::uint64_t i = 0; i < count; ++i) talker_.receive();
    talker_.send();
  }

private:
  void send_more() {
    if constexpr (requires { talker_.send_more(); })
      talker_.send_more();
    else
      talker_.send();
  }
  Talker talker_;
};

template <class Talker, class... Arguments>
[[nodiscard]] std::unique_ptr<Contestant> make(Arguments&&... arguments) {
  return std::make_unique<Duel<Talker>>(false, std::forward<Arguments>(arguments)...);
}
template <class Talker, class... Arguments>
[[nodiscard]] std::unique_ptr<Contestant> make_same_core(Arguments&&... arguments) {
  return std::make_unique<Duel<Talker>>(true, std::forward<Arguments>(arguments)...);
}

} // namespace mohhos::bench
