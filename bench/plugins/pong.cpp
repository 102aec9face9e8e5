// The other side of ping: sends back what begins a round trip, and swallows a flood until its
// "flush".
//
// A flood's messages come without a pause and are told apart by config "echo": the benchmark starts
// pong once for each kind.
#include <string>

#include <mohhos/sdk.hpp>

namespace {

class Pong : public mohhos::Plugin {
public:
  void on_init() override { echo_ = config("echo").value_or("1") == "1"; }

  void on_message(const mohhos::Message& message) override {
    if (!ping_) ping_ = open(message.sender()); // cannot be opened before ping runs
    if (echo_ || message.text() == "flush") ping_.send(message.text());
  }

private:
  mohhos::Channel ping_;
  bool echo_ = true;
};

} // namespace

MOHHOS_PLUGIN(Pong)
