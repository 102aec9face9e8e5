// Fails in on_init, in the way that its manifest's config says.
#include <cstdlib>
#include <stdexcept>
#include <thread>

#include <mohhos/sdk.hpp>

namespace {

class BadInit : public mohhos::Plugin {
public:
  void on_init() override {
    const std::string how = config("how").value_or("");
    if (how == "fails") throw mohhos::Failure(MOHHOS_E_NOT_FOUND, "the model file is missing");
    if (how == "throws") throw std::out_of_range("index 7 of 3");
    if (how == "throws-int") throw 42;
    if (how == "crashes") *static_cast<volatile int*>(nullptr) = 1;
    if (how == "exits") std::exit(5);
    if (how == "hangs") {
      for (;;) std::this_thread::yield();
    }
  }
};

} // namespace

MOHHOS_PLUGIN(BadInit)
