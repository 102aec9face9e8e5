// Sends what is to be on disk to vault, and answers how that went:
//   "deposit FROM TO"   the numbers, durable, one message each; then sync(): its outcome
//   "urgent FROM TO"    the same with a higher priority
//   "later FROM TO"     the same as "deposit" in a coroutine
//   "plain FROM TO"     the numbers, not durable
//   "forget FROM TO"    durable, without sync()
//   "sync"              sync() of all channels
//   "measure N GROUP"   N messages of 64 bytes with a sync() after each GROUP: microseconds in all
#include <chrono>
#include <sstream>
#include <string>

#include <mohhos/sdk.hpp>

namespace {

class Depositor : public mohhos::Plugin {
public:
  void on_start() override { vault_ = open("vault"); }

  void on_message(const mohhos::Message& message) override {
    std::istringstream words(message.copy());
    if (message.text().starts_with("later")) return start(later(message.keep()));
    if (message.wants_reply()) reply(message, act(words));
  }

private:
  mohhos::Task later(mohhos::OwnedMessage message) {
    std::istringstream words(message.copy());
    std::string verb;
    int from = 0;
    int to = 0;
    words >> verb >> from >> to;
    for (int i = from; i < to; ++i) vault_.send(std::to_string(i), {.durable = true});
    std::int32_t status = MOHHOS_OK;
    try {
      co_await sync(vault_, std::chrono::nanoseconds(kPatience));
    } catch (const mohhos::Failure& failure) {
      status = failure.code();
    }
    reply(message, std::to_string(status));
  }

  std::string act(std::istringstream& words) {
    std::string verb;
    int from = 0;
    int to = 0;
    words >> verb >> from >> to;
    if (verb == "measure") return measure(from, to);
    if (verb == "sync") return std::to_string(host()->sync(host(), 0, kPatience));
    mohhos::SendOptions options{.durable = verb != "plain"};
    if (verb == "urgent") options.priority = MOHHOS_PRIORITY_HIGH;
    for (int i = from; i < to; ++i) vault_.send(std::to_string(i), options);
    if (verb == "plain" || verb == "forget") return "0";
    return std::to_string(host()->sync(host(), vault_.raw(), kPatience));
  }

  std::string measure(int count, int group) {
    const std::string text(64, 'x');
    const auto begun = std::chrono::steady_clock::now();
    for (int i = 1; i <= count; ++i) {
      vault_.send(text, {.durable = true});
      if (i % group == 0) vault_.sync();
    }
    const auto took = std::chrono::steady_clock::now() - begun;
    return std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(took).count());
  }

  static constexpr std::uint64_t kPatience = 20'000'000'000;
  mohhos::Channel vault_;
};

} // namespace

MOHHOS_PLUGIN(Depositor)
