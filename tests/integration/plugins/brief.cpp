// Its first process dies of any message; each of the next a moment after it was loaded, each time a
// little later.
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <thread>

#include <mohhos/sdk.hpp>

namespace {

class Brief : public mohhos::Plugin {
public:
  void on_init() override {
    if (generation() == 1) return;
    std::thread([until = now_ns() + std::uint64_t{generation()} * 10'000, this] {
      while (now_ns() < until) {
      }
      std::abort();
    }).detach();
  }
  void on_message(const mohhos::Message&) override { std::abort(); }
};

} // namespace

MOHHOS_PLUGIN(Brief)
