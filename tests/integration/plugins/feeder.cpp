// Sends what it is told to phoenix, and answers how that went:
//   "feed FROM TO"      the numbers, one message each
//   "say TEXT"          one message
//   "fill"              until the ring is full; how many
//   "push MS"           one more, with this much patience: outcome and milliseconds
//   "ask TEXT"          a request; "asked" answers its status, "-" while there is none
//   "crash"             dies
#include <chrono>
#include <cstdlib>
#include <sstream>
#include <string>

#include <mohhos/sdk.hpp>

namespace {

class Feeder : public mohhos::Plugin {
public:
  void on_start() override { phoenix_ = open("phoenix"); }

  void on_message(const mohhos::Message& message) override {
    const std::string text = message.copy();
    std::istringstream words(text);
    std::string verb;
    words >> verb;
    if (verb == "crash") std::abort();
    if (message.wants_reply()) reply(message, act(verb, words));
  }

private:
  std::string act(const std::string& verb, std::istringstream& words) {
    if (verb == "asked") return asked_;
    if (verb == "fill") return fill();
    if (verb == "feed") {
      int from = 0;
      int to = 0;
      words >> from >> to;
      for (int i = from; i < to; ++i) phoenix_.send(std::to_string(i));
      return "fed";
    }
    if (verb == "push") {
      int patience = 0;
      words >> patience;
      return push(std::chrono::milliseconds(patience));
    }
    std::string rest;
    std::getline(words >> std::ws, rest);
    if (verb == "ask") {
      phoenix_.call(rest, std::chrono::seconds(60),
                    [this](const mohhos::Reply& got) { asked_ = std::to_string(got.status()); });
    } else {
      phoenix_.send(rest);
    }
    return "said";
  }

  std::string fill() {
    int count = 0;
    while (phoenix_.try_send(std::string(1000, 'x'), {.timeout = {}}) >= 0) ++count;
    return std::to_string(count);
  }

  std::string push(std::chrono::milliseconds patience) {
    const auto begun = std::chrono::steady_clock::now();
    const auto result = phoenix_.try_send(std::string(1000, 'x'), {.timeout = patience});
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - begun);
    return std::to_string(result) + " " + std::to_string(took.count());
  }

  mohhos::Channel phoenix_;
  std::string asked_ = "-";
};

} // namespace

MOHHOS_PLUGIN(Feeder)
