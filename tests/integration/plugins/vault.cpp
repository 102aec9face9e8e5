// Keeps what it gets; "?" answers all of it, a comma after each, and an r behind what was delivered
// again. "count" answers how many.
#include <string>

#include <mohhos/sdk.hpp>

namespace {

class Vault : public mohhos::Plugin {
public:
  void on_message(const mohhos::Message& message) override {
    if (message.wants_reply())
      return reply(message, message.copy() == "count" ? std::to_string(count_) : kept_);
    ++count_;
    kept_ += message.copy();
    if (message.redelivered()) kept_ += 'r';
    kept_ += ',';
  }

private:
  std::string kept_;
  long count_ = 0;
};

} // namespace

MOHHOS_PLUGIN(Vault)
