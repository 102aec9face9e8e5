// Asks its peer what it is asked, and waits; says what came of it.
#include <string>

#include <mohhos/sdk.hpp>

namespace {

class Cyclist : public mohhos::Plugin {
public:
  void on_message(const mohhos::Message& message) override {
    if (!message.wants_reply()) return;
    if (message.text() == "ping") return reply(message, "pong");
    try {
      const auto peer = open(config("peer").value_or(""));
      reply(message, peer.ask(message.text(), std::chrono::seconds(20)));
    } catch (const mohhos::Failure& failure) {
      reply(message, std::to_string(failure.code()) + " " + failure.what());
    }
  }
};

} // namespace

MOHHOS_PLUGIN(Cyclist)
