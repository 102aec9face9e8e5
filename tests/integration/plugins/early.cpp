// Opens its channel to plain when it starts, and answers what came of that ("started"). Anything
// else it asks plain.
#include <string>

#include <mohhos/sdk.hpp>

namespace {

class Early : public mohhos::Plugin {
public:
  void on_start() override {
    try {
      (void)open("plain");
      started_ = "open";
    } catch (const mohhos::Failure& failure) {
      started_ = std::to_string(failure.code());
    }
  }

  void on_message(const mohhos::Message& message) override {
    if (!message.wants_reply()) return;
    if (message.text() == "started") return reply(message, started_);
    try {
      reply(message, open("plain").ask(message.text(), std::chrono::seconds(10)));
    } catch (const mohhos::Failure& failure) {
      reply(message, std::to_string(failure.code()) + " " + failure.what());
    }
  }

private:
  std::string started_;
};

} // namespace

MOHHOS_PLUGIN(Early)
