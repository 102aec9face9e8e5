// Takes counter_out's numbers and answers "received lost repeated".
#include <cstdint>
#include <string>

#include <mohhos/sdk.hpp>

namespace {

class CounterIn : public mohhos::Plugin {
public:
  void on_message(const mohhos::Message& message) override {
    if (message.wants_reply()) {
      return reply(message, std::to_string(received_) + " " + std::to_string(lost_) + " " +
                                std::to_string(repeated_));
    }
    const auto number = message.as<std::uint64_t>();
    ++received_;
    if (number < next_) ++repeated_;
    if (number > next_) lost_ += number - next_;
    next_ = number + 1;
  }

private:
  std::uint64_t next_ = 0;
  std::uint64_t received_ = 0;
  std::uint64_t lost_ = 0;
  std::uint64_t repeated_ = 0;
};

} // namespace

MOHHOS_PLUGIN(CounterIn)
