// Sends back to its sender what is no request, and answers a request with its size.
#include <string>

#include <mohhos/sdk.hpp>

namespace {

class Bounce : public mohhos::Plugin {
public:
  void on_message(const mohhos::Message& message) override {
    if (message.wants_reply()) return reply(message, std::to_string(message.size()));
    open(message.sender()).send(message.bytes(), {.priority = message.priority()});
  }
};

} // namespace

MOHHOS_PLUGIN(Bounce)
