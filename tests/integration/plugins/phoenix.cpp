// Passes what it gets on to keeper, and dies of some of it. Requests are answered, or it dies of
// them.
#include <cstdlib>
#include <string>
#include <thread>

#include <mohhos/sdk.hpp>

namespace {

class Phoenix : public mohhos::Plugin {
public:
  void on_start() override {
    if (name() == "doomed") std::abort();
    keeper_ = open("keeper");
  }

  void on_stop() override {
    while (hangs_) std::this_thread::yield();
  }

  void on_message(const mohhos::Message& message) override {
    const std::string text = message.copy();
    hangs_ |= text == "hang in on_stop";
    if (text == "die" && message.redelivered()) keeper_.send("again");
    if (text == "die" && !config("calm")) *static_cast<volatile int*>(nullptr) = 1;
    // Of "die as 3" only the third one dies.
    if (text == "die as " + std::to_string(generation())) std::abort();
    if (message.wants_reply()) {
      if (text == "generation") return reply(message, std::to_string(generation()));
      return reply(message, text);
    }
    keeper_.send(text);
  }

private:
  mohhos::Channel keeper_;
  bool hangs_ = false;
};

} // namespace

MOHHOS_PLUGIN(Phoenix)
