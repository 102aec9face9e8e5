// Comes and goes beside the stream: opens a channel to soak_sink as soon as it runs, and asks it.
#include <mohhos/sdk.hpp>

namespace {

class Guest : public mohhos::Plugin {
public:
  void on_start() override { sink_ = open("soak_sink", 0, std::chrono::seconds(20)); }

  void on_message(const mohhos::Message& message) override {
    if (!message.wants_reply()) return;
    sink_.call(std::string("?"), std::chrono::seconds(20),
               [this, to = message.request()](const mohhos::Reply& answer) {
                 if (answer.ok()) return reply(to, answer.copy());
                 refuse(to, answer.status(), answer.copy());
               });
  }

private:
  mohhos::Channel sink_;
};

} // namespace

MOHHOS_PLUGIN(Guest)
