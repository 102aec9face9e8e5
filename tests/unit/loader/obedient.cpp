// Does what its configuration says, in the callback that it says: config "in" (init, start, stop,
// message, work, config) and "do".
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>

#include "mohhos/sdk.hpp"

namespace {

class Obedient : public mohhos::Plugin {
public:
  void on_init() override { act("init"); }
  void on_start() override {
    act("start");
    if (const auto peer = config("peer")) peer_ = open(*peer);
  }
  void on_stop() override { act("stop"); }
  void on_message(const mohhos::Message& message) override {
    act("message");
    if (message.wants_reply()) return reply(message, message.copy());
    info("message from " + std::string(message.sender_name()) + ": " + message.copy());
  }
  bool on_work() override {
    act("work");
    if (config("do").value_or("") == "work-without-end") return true;
    info("work " + std::to_string(++slices_));
    return slices_ < 3;
  }
  void on_cancel(const mohhos::Request& request) override {
    info("cancelled " + std::to_string(request.correlation));
  }
  void on_config(std::string_view key, std::string_view value) override {
    act("config");
    info(std::string(key) + " is now " + std::string(value));
  }

private:
  void act(std::string_view where) {
    if (config("in").value_or("") != where) return;
    const std::string what = config("do").value_or("");
    if (what == "throw") throw std::runtime_error("thrown on purpose");
    if (what == "throw-in-thread")
      std::thread([] { throw std::runtime_error("thrown in a thread"); }).join();
    if (what == "exit") std::exit(7);
    if (what == "abort") std::abort();
    if (what == "segv") std::raise(SIGSEGV);
    if (what == "null") write_to(nullptr_from_outside());
    if (what == "print") std::puts("printed on purpose");
    if (what == "wake-from-thread") std::thread([this] { wake(); }).join();
  }
  static void* nullptr_from_outside() {
    void* volatile nothing = nullptr;
    return nothing;
  }
  // (A sanitizer would be before the fault.)
  [[gnu::no_sanitize("undefined", "address")]] static void write_to(void* address) {
    *static_cast<volatile int*>(address) = 1;
  }

  mohhos::Channel peer_;
  int slices_ = 0;
};

} // namespace

MOHHOS_PLUGIN(Obedient)
