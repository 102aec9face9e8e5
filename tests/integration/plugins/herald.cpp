// "tell EVENT TEXT": publishes that, and answers to how many. Anything else is never answered.
#include <sstream>
#include <string>

#include <mohhos/sdk.hpp>

namespace {

class Herald : public mohhos::Plugin {
public:
  void on_message(const mohhos::Message& message) override {
    const std::string text = message.copy();
    std::istringstream words(text);
    std::string verb;
    words >> verb;
    if (!message.wants_reply() || verb != "tell") return;
    std::uint32_t event = 0;
    std::string rest;
    std::getline(words >> event >> std::ws, rest);
    reply(message, std::to_string(publish(event, rest)));
  }
};

} // namespace

MOHHOS_PLUGIN(Herald)
