// Answers, and ends in every way that a test asks for.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>

#include <sys/mman.h>
#include <unistd.h>

#include <mohhos/sdk.hpp>

namespace {

class Plain : public mohhos::Plugin {
public:
  void on_stop() override {
    while (hangs_) std::this_thread::yield();
  }

  void on_message(const mohhos::Message& message) override {
    const std::string text = message.copy();
    hangs_ |= text == "hang in on_stop";
    if (text == "crash") *static_cast<volatile int*>(nullptr) = 1;
    if (text == "abort") std::abort();
    if (text == "exit") std::_Exit(3);
    if (text == "throw") throw std::runtime_error("thrown on request");
    if (text == "throw on a thread") {
      std::thread([] { throw std::runtime_error("thrown on a thread"); }).join();
    }
    if (text == "hang") {
      for (;;) std::this_thread::yield();
    }
    if (text == "stdout") {
      std::puts("a line on stdout");
      std::fflush(stdout);
      std::fputs("a line on stderr\n", stderr);
    }
    if (!message.wants_reply()) return;
    if (text == "pid") return reply(message, std::to_string(getpid()));
    if (text.starts_with("config ")) return reply(message, config(text.c_str() + 7).value_or("-"));
    if (text == "nothing") return; // never answered
    reply(message, text == "ping" ? "pong" : text);
  }

private:
  bool hangs_ = false;
};

} // namespace

MOHHOS_PLUGIN(Plain)
