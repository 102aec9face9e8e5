// Sends the numbers 0, 1, 2, … to counter_in as fast as they are taken; "sent" answers how many so
// far, "stop" ends it and answers the same.
#include <cstdint>
#include <string>

#include <mohhos/sdk.hpp>

namespace {

class CounterOut : public mohhos::Plugin {
public:
  void on_start() override {
    to_ = open("counter_in");
    wake();
  }

  bool on_work() override {
    for (int i = 0; i < 64 && !stopped_; ++i) {
      const auto result = to_.try_send(next_, {.timeout = {}});
      if (result == MOHHOS_E_REFUSED || result == MOHHOS_E_TIMED_OUT) {
        wake_after(std::chrono::microseconds(200));
        return false;
      }
      mohhos::detail::demand(result, "send");
      ++next_;
    }
    return !stopped_;
  }

  void on_message(const mohhos::Message& message) override {
    if (message.copy() == "stop") stopped_ = true;
    if (message.wants_reply()) reply(message, std::to_string(next_));
  }

private:
  mohhos::Channel to_;
  std::uint64_t next_ = 0;
  bool stopped_ = false;
};

} // namespace

MOHHOS_PLUGIN(CounterOut)
