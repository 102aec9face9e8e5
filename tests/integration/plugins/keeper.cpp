// Keeps what it gets; "?" answers all of it, with a comma after each.
#include <string>

#include <mohhos/sdk.hpp>

namespace {

class Keeper : public mohhos::Plugin {
public:
  void on_message(const mohhos::Message& message) override {
    if (message.wants_reply()) return reply(message, kept_);
    kept_ += message.copy() + ",";
  }

private:
  std::string kept_;
};

} // namespace

MOHHOS_PLUGIN(Keeper)
