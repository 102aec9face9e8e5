// Must not compile, and say why: a message view ends with the callback, a coroutine does not.
#include "mohhos/sdk.hpp"

struct Careless : mohhos::Plugin {
  mohhos::Task keep(const mohhos::Message& message) {
    co_await mohhos::sleep(std::chrono::seconds(1)); // anything that can be awaited
    reply(message, message.text());
  }
  void on_message(const mohhos::Message& message) override { start(keep(message)); }
};
MOHHOS_PLUGIN(Careless)
